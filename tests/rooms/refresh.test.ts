import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forEachStore } from '../support/stores.ts';
import { openRooms, origin, type Rooms, register } from './rooms.ts';

forEachStore('refresh', (makeDatabase) => {
  const tokensOf = async (rooms: Rooms, token: string, count: number): Promise<string[]> => {
    const outcomes = await Promise.all(Array.from({ length: count }, () => rooms.core.refresh(token, origin)));
    return outcomes.map((outcome) => (outcome.kind === 'refreshed' ? outcome.answer.refresh_token : outcome.code));
  };

  for (const parallel of [2, 16, 64]) {
    test(`REF-04 ${parallel} parallel refreshes of one token get one and the same successor`, async () => {
      const rooms = await openRooms(await makeDatabase(), { name: 'a' });
      try {
        const { refresh_token: first } = await register(rooms.core);
        const answers = new Set(await tokensOf(rooms, first, parallel));
        assert.equal(answers.size, 1);
        const [second = ''] = answers;
        assert.match(second, /^rt_/);
        const next = new Set(await tokensOf(rooms, second, parallel));
        assert.equal(next.size, 1);
        assert.notEqual([...next][0], second);
      } finally {
        await rooms.stop();
      }
    });
  }

  test('without a grace period parallel refreshes have one winner, and the session ends as reuse', async () => {
    const rooms = await openRooms(await makeDatabase(), { name: 'a', variables: { REFRESH_REUSE_GRACE: '0' } });
    try {
      const { refresh_token: first, access_token: access } = await register(rooms.core);
      const answers = await tokensOf(rooms, first, 16);
      const winners = answers.filter((answer) => answer.startsWith('rt_'));
      assert.equal(winners.length, 1);
      assert.ok(answers.includes('refresh_token_reused'));
      assert.deepEqual(await tokensOf(rooms, winners[0] ?? '', 1), ['invalid_refresh_token']);
      assert.deepEqual(rooms.core.validate(access, {}), { valid: false, reason: 'revoked' });
    } finally {
      await rooms.stop();
    }
  });

  test('REF-05 reuse ends its own session only, once, and is audited once', async () => {
    const rooms = await openRooms(await makeDatabase(), { name: 'a' });
    try {
      const mine = await register(rooms.core);
      const other = await register(rooms.core);
      const [second = ''] = await tokensOf(rooms, mine.refresh_token, 1);
      const [third = ''] = await tokensOf(rooms, second, 1);
      const reuses = await tokensOf(rooms, mine.refresh_token, 8);
      assert.ok(reuses.includes('refresh_token_reused'));
      assert.ok(reuses.every((answer) => !answer.startsWith('rt_')));
      assert.deepEqual(await tokensOf(rooms, third, 1), ['invalid_refresh_token']);
      assert.match((await tokensOf(rooms, other.refresh_token, 1))[0] ?? '', /^rt_/);
      const { events } = await rooms.core.audit.list({ type: 'authn_token_reuse' }, { limit: 100 });
      assert.equal(events.length, 1);
      assert.equal(events[0]?.target, mine.session_id);
    } finally {
      await rooms.stop();
    }
  });

  test('many sessions refresh at once and each gets its own successor, at two nodes', async () => {
    const db = await makeDatabase();
    const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';
    const nodes = [
      await openRooms(db, { name: 'a', rootSecret }),
      await openRooms(db, { name: 'b', rootSecret }),
    ] as const;
    try {
      const users = await Promise.all(Array.from({ length: 40 }, () => register(nodes[0].core)));
      let tokens = users.map((user) => user.refresh_token);
      for (let round = 0; round < 5; round += 1) {
        const answers = await Promise.all(
          tokens.map((token) => Promise.all(nodes.map((node) => tokensOf(node, token, 2)))),
        );
        tokens = answers.map((answer) => {
          const distinct = new Set(answer.flat());
          assert.equal(distinct.size, 1);
          return [...distinct][0] ?? '';
        });
        assert.ok(tokens.every((token) => token.startsWith('rt_')));
        assert.equal(new Set(tokens).size, tokens.length);
      }
    } finally {
      for (const node of nodes) await node.stop();
    }
  });
});
