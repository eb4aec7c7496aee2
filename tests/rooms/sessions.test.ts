import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeJwt } from 'jose';
import { statement } from '../../packages/server/src/platform/database/index.ts';
import { createSessions } from '../../packages/server/src/sessions/index.ts';
import { createPostgresSessionStore } from '../../packages/server/src/sessions/session-store.postgres.ts';
import { forEachStore } from '../support/stores.ts';
import { login, openRooms, origin, register } from './rooms.ts';

forEachStore('sessions', (makeDatabase) => {
  test('a session that was rolled back, or begun twice by a transaction that was run again, is not counted', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const { user } = await register(core);
    let started = 0;
    const { clock, random, audit, revocation } = core;
    const limits = { idleTtlSeconds: 60, maxAgeSeconds: 60, maxPerUser: 5 };
    const sessions = createSessions({
      ...{ db, clock, random, audit, revocation, mail: core.mail },
      store: createPostgresSessionStore({ db, limits }),
      onStarted: () => {
        started += 1;
      },
      onEnded: () => undefined,
    });
    const begin = sessions.begin(async (_tx, start) => {
      await start({ user: { id: user.id, sessions_epoch: 0 }, amr: ['pwd'], acr: 'aal1', origin });
      throw new Error('rolled back');
    });
    await assert.rejects(begin, /rolled back/);
    assert.equal(started, 0);
    await stop();
  });

  test('SES-04 no access token outlives the idle end of its session', async () => {
    const variables = { SESSION_IDLE_TTL: '60', TOKEN_TTL: '3600' };
    const { core, stop } = await openRooms(await makeDatabase(), { variables });
    const first = await register(core);
    const refreshed = await core.refresh(first.refresh_token, origin);
    assert.ok(refreshed.kind === 'refreshed');
    for (const answer of [first, refreshed.answer]) {
      const { exp = 0, iat = 0 } = decodeJwt(answer.access_token);
      assert.ok(exp - iat <= 60 && exp - iat > 50, `lives ${exp - iat} s`);
      assert.equal(answer.expires_in, exp - iat);
    }
    await stop();
  });

  test('REV-02 what is done in the name of a session under its user’s lock is done before that has ended, however it ends', async () => {
    const { core, stop } = await openRooms(await makeDatabase());
    const { user, email, ...first } = await register(core);
    const others = [await login(core, email), await login(core, email)];
    const [second, third] = others.map(({ session_id: id }) => id);
    const ids = [first.session_id, second ?? '', third ?? ''];
    const fourth = await register(core);
    const by = { userId: fourth.user.id, actor: fourth.user.id, sessionId: fourth.session_id, origin };
    const ends: Promise<unknown>[] = [];
    await core.db.transaction(async (tx) => {
      await tx.run(lockUser, [user.id]);
      ends.push(
        core.sessions.end(user.id, ids[0] ?? '', 'logout', origin),
        core.db.transaction((own) => core.sessions.endForOther(own, user.id, ids[1] ?? '', { ...by, reason: 'admin' })),
        core.sessions.endReused({ userId: user.id, sessionId: ids[2] ?? '', counter: -1 }, user.id, origin),
      );
      await new Promise((resolve) => setTimeout(resolve, 300));
      for (const id of ids) assert.equal(await core.sessions.ownerOf(tx, id), user.id);
    });
    await Promise.all(ends);
    for (const id of ids) assert.equal(await core.sessions.ownerOf(core.db, id), undefined);
    await stop();
  });
});

const lockUser = statement<[string], { id: string }>(
  'test_sessions_lock_user',
  'select id from users where id = $1 for update',
);
