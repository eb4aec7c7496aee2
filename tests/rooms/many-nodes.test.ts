/** Twenty nodes that start at once on one empty database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { migrate, openPostgres } from '../../packages/server/src/platform/database/index.ts';
import { startPostgres } from '../support/postgres.ts';
import { openRooms, origin, register } from './rooms.ts';

const nodes = 20;
const poolSize = 3;

test('F-02, F-22 twenty nodes start at once: each migration runs once, every node is ready, connections within bounds', async (context) => {
  const server = await startPostgres({ fsync: false });
  context.after(() => server.stop());
  await server.query('create database empty');
  const connection = server.url.replace('/postgres?', '/empty?');
  const patience = { statementTimeoutMs: 60_000, transactionTimeoutMs: 60_000, connectTimeoutMs: 60_000 };
  const variables = { REVOCATION_ACK_TIMEOUT: '9000', REVOCATION_MAX_STALENESS: '30' };
  const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';
  const databases = await Promise.all(
    Array.from({ length: nodes }, () => openPostgres({ connection, poolSize, ...patience })),
  );
  const applied = await Promise.all(databases.map((db) => migrate(db)));
  const names = applied.flatMap((one) => one.applied);
  assert.ok(names.length > 0);
  assert.equal(new Set(names).size, names.length, 'each migration ran once');
  const started = await Promise.all(
    databases.map((db, at) => openRooms(db, { name: `node ${at}`, rootSecret, variables })),
  );
  const count = `select count(*)::int as open from pg_stat_activity where datname = 'empty'`;
  const open = Number((await server.query(count))[0]?.['open']);
  // Its pool, and the beat's own.
  assert.ok(open <= nodes * (poolSize + 1), `${open} connections`);

  const [first] = started;
  assert.ok(first);
  const user = await register(first.core);
  for (const node of started) {
    const verdict = node.core.validate(user.access_token, {});
    assert.ok(verdict !== 'stale' && verdict.valid, 'each is ready, and knows the one signing key');
  }
  const pending = await first.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
  assert.ok(pending);
  const receipt = await first.core.revocation.settle(pending, user.user.id);
  assert.deepEqual([receipt.effective_everywhere, receipt.acknowledged_nodes], [true, nodes]);
  for (const node of started) {
    assert.deepEqual(node.core.validate(user.access_token, {}), { valid: false, reason: 'revoked' });
  }
  await Promise.all(started.map((node) => node.stop()));
  await Promise.all(databases.map((db) => db.close()));
});
