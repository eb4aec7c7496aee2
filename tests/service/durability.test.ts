/** What was answered is true after any crash, and what cannot be decided is not guessed. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Answer, assertProblem, problemCode, receiptOf, tokensOf } from '../support/http.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { type RunningService, startService, storeKinds, until } from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';
import {
  type Account,
  assertQuiet,
  login,
  logout,
  me,
  metricsOf,
  newPassword,
  refresh,
  register,
  validate,
  worth,
} from './support/suite.ts';

/** What a client was told, and so may rely on. */
interface Told {
  readonly accounts: Account[];
  readonly dead: string[];
  readonly deadRefresh: string[];
  readonly refreshed: { old: string; next: string }[];
}

/** Works until the service is gone; takes note of every good answer. */
async function workUntilGone(service: RunningService, told: Told): Promise<void> {
  try {
    for (;;) {
      const account = await register(service);
      told.accounts.push(account);
      const next = tokensOf(await refresh(service, account.tokens.refresh_token));
      told.refreshed.push({ old: account.tokens.refresh_token, next: next.refresh_token });
      const other = tokensOf(await login(service, account));
      receiptOf(await logout(service, other.access_token));
      told.dead.push(other.access_token);
      told.deadRefresh.push(other.refresh_token);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ECONNRESET' && code !== 'ECONNREFUSED' && code !== 'EPIPE') throw error;
  }
}

/** A machine that is short of breath may say "later"; only what is said in the end counts. */
const patient = (ask: () => Promise<Answer>): Promise<Answer> =>
  until('an answer that is not "later"', async () => {
    const answer = await ask();
    return answer.status !== 503 && answer;
  });

for (const store of storeKinds) {
  test(`LOG-03 REF-07 what was acknowledged survives kill -9, round after round (${store})`, async (t) => {
    const service = await startService({ store });
    t.after(() => service.stop());
    for (let round = 0; round < (store === 'postgres' ? 3 : 2); round += 1) {
      const told: Told = { accounts: [], dead: [], deadRefresh: [], refreshed: [] };
      const working = Array.from({ length: 4 }, () => workUntilGone(service, told));
      await until('some work', async () => told.dead.length >= 5 + round * 4);
      await service.kill9();
      await Promise.all(working);
      await service.start();
      for (const token of told.dead) {
        assert.equal(await worth(service, token), 'revoked');
        assertProblem(await me(service, token), 401, 'token_revoked');
      }
      for (const token of told.deadRefresh) {
        assertProblem(await patient(() => refresh(service, token)), 401, 'invalid_refresh_token');
      }
      for (const { old, next } of told.refreshed) {
        const again = tokensOf(await patient(() => refresh(service, old)));
        assert.equal(again.refresh_token, next, 'a retry after the crash: the same successor');
        tokensOf(await patient(() => refresh(service, next)));
      }
      for (const account of told.accounts) tokensOf(await patient(() => login(service, account)));
    }
    const verified = await service.cli(['audit', 'verify', '--json']);
    assert.equal(verified.code, 0, verified.stdout);
    assert.equal(await service.halt(), 0);
    assertQuiet(service);
  });
}

describe('PostgreSQL away', () => {
  let postgres: TestPostgres;
  let service: RunningService;
  let account: Account;
  before(async () => {
    postgres = await startPostgres();
    service = await startService({
      store: 'postgres',
      databaseUrl: await postgres.createDatabase(),
      env: { REVOCATION_MAX_STALENESS: '2', MAX_LOGIN_ATTEMPTS: '100' },
    });
    account = await register(service);
  });
  after(async () => {
    await service.stop();
    await postgres.stop();
  });

  const isFresh = async () =>
    (await service.api.post('/api/auth/validate-token', { token: account.tokens.access_token })).status === 200;

  /** Never "invalid" for what could not be looked up, and never a hang. */
  async function assertAway(): Promise<void> {
    const gone: Promise<Answer>[] = [
      login(service, account),
      login(service, { ...account, password: newPassword() }),
      refresh(service, account.tokens.refresh_token),
      service.api.post('/api/auth/register', { user: { email: 'somebody@example.org', password: newPassword() } }),
    ];
    for (const answer of await Promise.all(gone)) {
      assertProblem(answer, 503, 'overloaded');
      assert.ok(answer.milliseconds < besideOthers(1_000), `${answer.milliseconds} ms`);
    }
    // What no store needs to be asked for is known to be wrong.
    assertProblem(await refresh(service, 'nonsense'), 401, 'invalid_refresh_token');
  }

  for (const [name, away, back] of [
    ['killed', () => postgres.kill9(), () => postgres.restart()],
    ['frozen', async () => postgres.pause(), async () => postgres.resume()],
  ] as const) {
    test(`REV-03 REV-07 ${name}: 503 and never 401, validation goes on until the bound and no further, and all comes back`, async () => {
      const next = tokensOf(await login(service, account));
      const token = next.access_token;
      await until('freshness', isFresh);
      const started = performance.now();
      await away();
      let lastValid = 0;
      const stale = (async () =>
        until('staleness', async () => {
          const askedAt = performance.now();
          const answer = await service.api.post('/api/auth/validate-token', { token });
          if (answer.status === 200) {
            assert.equal((answer.body as { valid: boolean }).valid, true);
            lastValid = askedAt - started;
            return false;
          }
          assertProblem(answer, 503, 'revocation_state_stale');
          return true;
        }))();
      await assertAway();
      await stale;
      assert.ok(lastValid > 0 && lastValid < 2_600, `valid for ${lastValid} ms`);
      assertProblem(await me(service, token), 503, 'revocation_state_stale');
      assertProblem(await logout(service, token), 503, 'revocation_state_stale');
      assert.equal((await service.api.get('/health/ready')).status, 503);
      assert.equal((await service.api.get('/health')).status, 503);
      assert.equal((await service.api.get('/health/live')).status, 200);
      assert.equal((await validate(service, 'nonsense')).reason, 'invalid');
      // At last the way is known to be closed, and nobody waits.
      for (let at = 0; at < 3; at += 1) {
        const answer = await login(service, account);
        assertProblem(answer, 503, 'overloaded');
        if (at > 0) assert.ok(answer.milliseconds < besideOthers(300), `${answer.milliseconds} ms`);
      }
      await back();
      await until('freshness', isFresh);
      await until('health', async () => (await service.api.get('/health')).status === 200);
      assert.equal(await worth(service, token), 'valid');
      await until('logins', async () => (await login(service, account)).status === 200);
      receiptOf(await logout(service, token));
      assert.equal(await worth(service, token), 'revoked');
      assert.ok((await metricsOf(service)).sum('auth_revocations_live') >= 1);
    });
  }

  test('REV-01 logouts that PostgreSQL has acknowledged are still logouts after it was killed', async () => {
    const ended: string[] = [];
    for (let at = 0; at < 10; at += 1) {
      const { access_token: token } = tokensOf(await login(service, account));
      receiptOf(await logout(service, token));
      ended.push(token);
    }
    await postgres.kill9();
    await service.kill9();
    await postgres.restart();
    await service.start();
    for (const token of ended) assert.equal(await worth(service, token), 'revoked');
    tokensOf(await login(service, account));
  });

  test('LOG-01 LOG-05 the log tells the operator and no secret', async () => {
    assert.match(service.logs(), /database is away/);
    assert.equal(await service.halt(), 0);
    assertQuiet(service);
  });
});

test('REVOCATION_WHEN_STALE=serve: valid goes on as of the last proof, counted, and a revoked token stays revoked', async (t) => {
  const postgres = await startPostgres({ fsync: false });
  t.after(() => postgres.stop());
  const service = await startService({
    store: 'postgres',
    databaseUrl: await postgres.createDatabase(),
    env: { REVOCATION_MAX_STALENESS: '1', REVOCATION_WHEN_STALE: 'serve' },
  });
  t.after(() => service.stop());
  const account = await register(service);
  const { access_token: gone } = tokensOf(await login(service, account));
  receiptOf(await logout(service, gone));
  await postgres.kill9();
  await until('staleness', async () => {
    const { checks } = (await service.api.get('/health')).body as { checks: { revocations: { status: string } } };
    return checks.revocations.status === 'stale';
  });
  assert.equal(await worth(service, account.tokens.access_token), 'valid');
  assert.equal(await worth(service, gone), 'revoked');
  const answer = await login(service, account);
  assert.equal(problemCode(answer), 'overloaded');
});
