/** The checker itself: a history that keeps every promise passes, and each broken one is seen. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { check, type ViolationKind } from './checker.ts';
import type { Call, History, Verification } from './history.ts';

const call = (change: Partial<Call> = {}): Call => ({
  op: 'validate',
  node: 'a',
  sentMs: 100,
  endMs: 105,
  status: 200,
  code: '',
  good: true,
  wronged: undefined,
  ...change,
});
const look = (change: Partial<Verification> = {}): Verification => ({
  session: 1,
  node: 'b',
  sentMs: 1_100,
  endMs: 1_105,
  status: 200,
  valid: false,
  ...change,
});
const audit = {
  users: 3,
  usersLost: [],
  sessions: 5,
  sessionsLost: [],
  revocationsLost: [],
  eventsWrong: [],
};

const sound: History = {
  nodes: ['a', 'b'],
  stalenessMs: 3_000,
  guessesMax: 5,
  calls: [call(), call({ op: 'logout', sentMs: 990, endMs: 1_000 })],
  verifications: [look()],
  revocations: [
    { session: 1, node: 'a', sentMs: 990, answeredMs: 1_000, everywhere: true, pending: [], effectiveByMs: 1_000 },
    { session: 2, node: 'a', sentMs: 990, answeredMs: 1_000, everywhere: false, pending: ['b'], effectiveByMs: 2_000 },
  ],
  rotations: [
    { session: 3, counter: 0, successor: 'x' },
    { session: 3, counter: 0, successor: 'x' },
    { session: 3, counter: 1, successor: 'y' },
  ],
  guesses: new Map([['victim', 5]]),
  downs: [],
  faultMs: { from: 50, until: 150 },
  readyMs: 200,
  endMs: 9_000,
  audit,
};

const kinds = (history: History): readonly ViolationKind[] => check(history).violations.map((one) => one.kind);

describe('the checker of the fault suite', () => {
  test('finds nothing in a history that keeps every promise', () => {
    assert.deepEqual(check(sound).violations, []);
  });

  const slow = { ...sound.revocations[1], session: 2, effectiveByMs: 20_000 } as History['revocations'][number];
  const planted: readonly (readonly [string, ViolationKind, Partial<History>])[] = [
    [
      'a token that was accepted after a receipt that says everywhere',
      'accepted after a receipt that says everywhere',
      { verifications: [look({ valid: true })] },
    ],
    [
      'a token that was accepted after the moment that the receipt names',
      'accepted after the moment that the receipt names',
      { verifications: [look({ session: 2, sentMs: 2_000, valid: true })] },
    ],
    [
      'a token that was accepted after the staleness bound, whatever the receipt names',
      'accepted after the staleness bound',
      { revocations: [slow], verifications: [look({ session: 2, sentMs: 4_000, valid: true })] },
    ],
    ['a lost user', 'acknowledged fact lost', { audit: { ...audit, usersLost: ['u'] } }],
    ['a lost session', 'acknowledged fact lost', { audit: { ...audit, sessionsLost: ['s'] } }],
    ['a lost revocation', 'acknowledged fact lost', { audit: { ...audit, revocationsLost: ['r'] } }],
    ['a lost event', 'acknowledged fact lost', { audit: { ...audit, eventsWrong: ['e'] } }],
    [
      'a live session that was refused as if its client were wrong',
      'logged out without cause',
      { calls: [call({ op: 'refresh', status: 401, good: false, wronged: 'x', sentMs: 60 })] },
    ],
    [
      'two successors of one refresh token',
      'two successors of one refresh token',
      { rotations: [...sound.rotations, { session: 3, counter: 1, successor: 'z' }] },
    ],
    ['a sixth guess', 'more guesses than the limit', { guesses: new Map([['victim', 6]]) }],
    ['a 500', 'an answer that is neither 2xx, 4xx nor 503', { calls: [call({ status: 500, good: false })] }],
    [
      'a 502 to a look at a dead token',
      'an answer that is neither 2xx, 4xx nor 503',
      { verifications: [look({ status: 502 })] },
    ],
    [
      'a failure long after the fault',
      'not right again in time',
      { calls: [call({ status: 503, good: false, sentMs: 15_160, endMs: 15_161 })] },
    ],
    ['a node that is ready too late', 'not right again in time', { readyMs: 15_200 }],
    ['a history without revocations', 'the history proves nothing', { revocations: [] }],
    ['a history in which nobody looked', 'the history proves nothing', { verifications: [] }],
    ['a history without sessions', 'the history proves nothing', { audit: { ...audit, sessions: 0 } }],
  ];
  for (const [title, kind, change] of planted) {
    test(`catches ${title}`, () => {
      assert.deepEqual(kinds({ ...sound, ...change }), [kind]);
    });
  }

  test('does not count what was asked before the answer, nor "later", nor within what the receipt names', () => {
    const verifications = [
      look({ sentMs: 999, valid: true }),
      look({ status: 503 }),
      look({ session: 2, sentMs: 1_999, valid: true }),
    ];
    const { violations, figures } = check({ ...sound, verifications });
    assert.deepEqual(violations, []);
    assert.equal(figures.acceptedAfter.max, 999);
  });

  test('measures an outage from the first failure to the next good answer, by whichever node', () => {
    const calls = [
      call({ sentMs: 100, endMs: 101 }),
      call({ sentMs: 110, endMs: 111, status: 503, good: false }),
      call({ sentMs: 120, endMs: 121, status: 0, good: false, node: 'b' }),
      call({ sentMs: 130, endMs: 131, node: 'c' }),
    ];
    const { figures } = check({ ...sound, calls });
    assert.equal(figures.longestOutageMs.validate, 21);
    assert.deepEqual([figures.refused503, figures.unanswered], [1, 1]);
  });

  test('asks no answer in time of a node that was frozen, and asks it of the others', () => {
    const late = call({ node: 'b', sentMs: 100, endMs: 4_100 });
    const downs = [{ node: 'b', fromMs: 50, untilMs: 4_000 }];
    assert.equal(check({ ...sound, calls: [late], downs }).figures.longestAnswerMs, 0);
    assert.equal(check({ ...sound, calls: [{ ...late, node: 'a' }], downs }).figures.longestAnswerMs, 4_000);
  });
});
