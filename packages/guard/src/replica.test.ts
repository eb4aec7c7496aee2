/** The replica against a plain model: CLM-07, and what growing and sweeping must not lose. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RevocationEntry } from '@auth-service/protocol';
import fc from 'fast-check';
import { createReplica, type Replica } from './index.ts';
import { leewaySecondsMax } from './replica.ts';
import { readUuid, writeUuid } from './uuid.ts';

type Kind = RevocationEntry['kind'];

const hashKey = Uint8Array.from({ length: 16 }, (_, at) => at * 7 + 1);
const seed = 20_261_123;
const kinds: readonly Kind[] = ['token', 'session', 'user', 'key'];
const uuidOf = (number: number): string => `0198a000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
const entry = (kind: Kind, subject: string, expires_at: number, min_epoch = 0): RevocationEntry => ({
  kind,
  subject,
  min_epoch: kind === 'user' ? min_epoch : 0,
  expires_at,
});

/** The reference: a list of facts, and "any of them covers it". */
const covered = (facts: readonly RevocationEntry[], kind: Kind, subject: string, epoch: number): boolean =>
  facts.some((fact) => fact.kind === kind && fact.subject === subject && (kind !== 'user' || epoch < fact.min_epoch));

/** Few subjects, so that they meet: UUIDs, look-alikes of UUIDs, and names that mean something to JavaScript. */
const subjects = [
  ...Array.from({ length: 6 }, (_, number) => uuidOf(number)),
  uuidOf(10).toUpperCase(),
  uuidOf(10),
  uuidOf(10).replaceAll('-', ''),
  uuidOf(10).replaceAll('0', '\u0130'),
  `${uuidOf(1)} `,
  `${uuidOf(1).slice(0, 35)}g`,
  `${uuidOf(1).slice(0, 35)}\u0000`,
  '__proto__',
  'constructor',
  'k',
  '\ud800',
];
const subject = fc.constantFrom(...subjects);
const epoch = fc.oneof(fc.nat(4), fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER));
const fact = fc.record({
  kind: fc.constantFrom(...kinds),
  subject,
  min_epoch: epoch,
  expires_at: fc.integer({ min: 0, max: 5_000 }),
});
const claims = fc.record({ jti: subject, sid: subject, sub: subject, epoch });

function fill(facts: Iterable<RevocationEntry>): Replica {
  const replica = createReplica({ hashKey });
  replica.applyMany(facts);
  return replica;
}

const sorted = (replica: Replica): readonly string[] =>
  [...replica.entries()].map((one) => JSON.stringify(one)).toSorted();

describe('the replica equals the model', () => {
  test('CLM-07 a token is dead if any entry covers it, in 20,000 random cases', () => {
    const check = fc.property(fc.array(fact, { maxLength: 12 }), claims, subject, (facts, token, kid) => {
      const replica = fill(facts);
      const expected =
        covered(facts, 'token', token.jti, 0) ||
        covered(facts, 'session', token.sid, 0) ||
        covered(facts, 'user', token.sub, token.epoch) ||
        covered(facts, 'key', kid, 0);
      assert.equal(replica.isRevoked(token, kid), expected);
      assert.equal(replica.covers('user', token.sub, token.epoch), covered(facts, 'user', token.sub, token.epoch));
    });
    fc.assert(check, { numRuns: 20_000, seed });
  });

  test('CLM-07 entries in any order, any number of times, have the same result', () => {
    const shuffled = fc
      .array(fact, { minLength: 1, maxLength: 12 })
      .chain((facts) =>
        fc.tuple(
          fc.constant(facts),
          fc.array(fc.constantFrom(...facts), { maxLength: 6 }),
          fc.shuffledSubarray(facts, { minLength: facts.length }),
        ),
      );
    const check = fc.property(shuffled, ([facts, again, other]) => {
      assert.deepEqual(sorted(fill([...again, ...other, ...again])), sorted(fill(facts)));
    });
    fc.assert(check, { numRuns: 10_000, seed });
  });

  test('sweeping at any time never drops what has not expired, and leaves nothing behind that has', () => {
    const step = fc.oneof(
      fact.map((one) => ({ fact: one })),
      fc.record({ sweepAt: fc.integer({ min: 0, max: 5_000 }), shards: fc.constantFrom(1, 100, 256) }),
    );
    const check = fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const replica = createReplica({ hashKey });
      const facts: RevocationEntry[] = [];
      let swept = 0;
      for (const one of steps) {
        if ('fact' in one) {
          facts.push(one.fact);
          replica.apply(one.fact);
        } else {
          swept = Math.max(swept, one.sweepAt);
          replica.sweep(one.sweepAt, one.shards);
        }
        for (const live of facts.filter((known) => known.expires_at >= swept)) {
          assert.ok(live.kind === 'user' && live.min_epoch === 0 ? true : replica.covers(live.kind, live.subject, 0));
        }
      }
      replica.sweep(5_001 + 2 * leewaySecondsMax);
      assert.equal(replica.live(), 0);
      assert.deepEqual(sorted(replica), []);
    });
    fc.assert(check, { numRuns: 5_000, seed });
  });

  test('what it holds can be written back: its entries make the same replica', () => {
    const check = fc.property(fc.array(fact, { maxLength: 20 }), (facts) => {
      const replica = fill(facts);
      assert.deepEqual(sorted(fill(replica.entries())), sorted(replica));
      assert.equal(sorted(replica).length, replica.live());
    });
    fc.assert(check, { numRuns: 2_000, seed });
  });
});

describe('growing and sweeping', () => {
  test('200,000 entries are all found, none besides, and half of them leave with their expiry', () => {
    const count = 200_000;
    const replica = createReplica({ hashKey });
    for (let number = 0; number < count; number += 1) {
      const kind = number % 4 === 0 ? 'user' : number % 4 === 1 ? 'token' : 'session';
      assert.equal(replica.apply(entry(kind, uuidOf(number), number % 2 === 0 ? 1_000 : 2_000, number)), true);
    }
    assert.equal(replica.live(), count);
    const check = (left: (number: number) => boolean): void => {
      for (let number = 0; number < count; number += 1) {
        const kind = number % 4 === 0 ? 'user' : number % 4 === 1 ? 'token' : 'session';
        const found = replica.covers(kind, uuidOf(number), number - 1);
        assert.equal(found, left(number), `entry ${number}`);
        if (kind === 'user') assert.equal(replica.covers(kind, uuidOf(number), number), false);
        else assert.equal(replica.covers('user', uuidOf(number), 0), false);
      }
      assert.equal(replica.covers('session', uuidOf(count + 7)), false);
    };
    check(() => true);
    const full = replica.bytes();
    assert.ok(full / count <= 64, `${full / count} bytes an entry`);
    assert.equal(replica.sweep(1_000 + leewaySecondsMax + 1), count / 2);
    check((number) => number % 2 === 1);
    assert.ok(replica.bytes() < full * 0.7, 'memory goes with the entries');
    assert.equal(replica.sweep(1_000 + leewaySecondsMax + 1), 0);
    assert.equal(replica.sweep(2_000 + leewaySecondsMax + 1), count / 2);
    assert.ok(replica.bytes() < 10_000, `${replica.bytes()} bytes are left of nothing`);
  });

  test('shards that grow, shrink and go in any order keep what is theirs', () => {
    const steps = fc.array(fc.record({ add: fc.nat(3_000), expires: fc.integer({ min: 1, max: 9 }) }), {
      maxLength: 8,
    });
    const check = fc.property(steps, (rounds) => {
      const replica = createReplica({ hashKey });
      let next = 0;
      const live = new Map<number, number>();
      rounds.forEach(({ add, expires }, round) => {
        for (const end = next + add; next < end; next += 1) {
          const expiresAt = (round + expires) * 1_000 - (next % 3);
          replica.apply(entry('session', uuidOf(next), expiresAt));
          live.set(next, expiresAt);
        }
        replica.sweep(round * 1_000 + leewaySecondsMax + 1);
        for (const [number, expiresAt] of live) if (expiresAt <= round * 1_000) live.delete(number);
        assert.equal(replica.live(), live.size);
        for (let number = 0; number < next; number += 1) {
          assert.equal(replica.covers('session', uuidOf(number)), live.has(number));
        }
      });
    });
    fc.assert(check, { numRuns: 25, seed });
  });

  test('an entry stays as long as any leeway may accept its token', () => {
    const replica = fill([entry('session', uuidOf(1), 1_000), entry('key', 'k', 1_000)]);
    assert.equal(replica.sweep(1_000 + leewaySecondsMax), 0);
    assert.equal(replica.sweep(1_000 + leewaySecondsMax + 1), 2);
    assert.equal(replica.horizon(), 1_000 + leewaySecondsMax);
    replica.reloaded(replica.swept() - 1);
    assert.equal(replica.horizon(), 1_000 + leewaySecondsMax, 'something was swept while the load was under way');
    replica.reloaded(replica.swept());
    assert.equal(replica.horizon(), Number.NEGATIVE_INFINITY);
  });

  test('a later expiry for the same subject extends it, an earlier one changes nothing', () => {
    for (const name of [uuidOf(1), 'a name']) {
      const replica = fill([
        entry('session', name, 1_000),
        entry('session', name, 3_000),
        entry('session', name, 2_000),
      ]);
      assert.equal(replica.live(), 1);
      assert.equal(replica.sweep(2_900), 0);
      assert.equal(replica.sweep(3_100), 1);
    }
  });

  test('expiries far away, fractional and past are held with the next whole second at least', () => {
    const replica = fill([
      entry('token', uuidOf(1), Number.MAX_SAFE_INTEGER),
      entry('token', uuidOf(2), Number.POSITIVE_INFINITY),
      entry('token', uuidOf(3), 99.2),
      entry('token', uuidOf(4), -5),
    ]);
    assert.deepEqual(
      [...replica.entries()].map((one) => one.expires_at).toSorted((a, b) => a - b),
      [0, 100, 2 ** 32 - 1, 2 ** 32 - 1],
    );
  });

  test('the version changes with what is new, and only with that', () => {
    const replica = createReplica({ hashKey });
    const first = replica.version();
    assert.equal(replica.apply(entry('user', uuidOf(1), 10, 3)), true);
    const second = replica.version();
    assert.notEqual(second, first);
    assert.equal(replica.apply(entry('user', uuidOf(1), 10, 3)), false);
    assert.equal(replica.apply(entry('user', uuidOf(1), 9, 2)), false);
    assert.equal(replica.version(), second);
    replica.apply(entry('user', uuidOf(1), 10, 4));
    assert.notEqual(replica.version(), second);
  });

  test('what is no entry is a failure, not a silence', () => {
    const wrong = [
      { ...entry('session', uuidOf(1), 10), kind: 'device' },
      { ...entry('session', uuidOf(1), 10), kind: '__proto__' },
      { ...entry('session', '', 10) },
      { ...entry('session', 'x'.repeat(1_025), 10) },
      { ...entry('session', uuidOf(1), Number.NaN) },
      { ...entry('session', uuidOf(1), 10), expires_at: '10' },
      { ...entry('user', uuidOf(1), 10, -1) },
      { ...entry('user', uuidOf(1), 10, 0.5) },
      { ...entry('user', uuidOf(1), 10), min_epoch: '3' },
      { ...entry('user', uuidOf(1), 10), subject: 7 },
    ];
    for (const one of wrong) {
      const replica = createReplica({ hashKey });
      assert.throws(() => replica.apply(one as RevocationEntry), TypeError);
      assert.equal(replica.live(), 0);
    }
    assert.throws(() => createReplica({ hashKey: new Uint8Array(4) }), TypeError);
  });
});

test('a UUID is read from its canonical form alone, and written as it was', () => {
  const words = new Int32Array(4);
  const check = fc.property(
    fc.uuid(),
    fc.nat(35),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    (id, at, unit) => {
      assert.equal(readUuid(id, words), true);
      assert.equal(writeUuid(words), id);
      const other = id.slice(0, at) + unit + id.slice(at + 1);
      const canonical = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(other);
      assert.equal(readUuid(other, words), canonical);
      if (canonical) assert.equal(writeUuid(words), other);
    },
  );
  fc.assert(check, { numRuns: 5_000, seed });
});
