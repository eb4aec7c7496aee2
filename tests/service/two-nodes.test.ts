/** Two services on one PostgreSQL, without any other tie: a receipt tells the truth about the other one. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertProblem, receiptOf, tokensOf } from '../support/http.ts';
import { type RunningService, randomSecret, sharedPostgres, startService, until } from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';
import { assertQuiet, login, logout, me, refresh, register, worth } from './support/suite.ts';

const publicUrl = 'http://auth.example.org';

describe('two services on one database', () => {
  let a: RunningService;
  let b: RunningService;
  let databaseUrl: string;
  before(async () => {
    databaseUrl = await (await sharedPostgres()).createDatabase();
    const env = { JWT_SECRET: randomSecret(), PUBLIC_URL: publicUrl, REVOCATION_MAX_STALENESS: '3' };
    [a, b] = await Promise.all([
      startService({ store: 'postgres', databaseUrl, env: { ...env, NODE_NAME: 'a' } }),
      startService({ store: 'postgres', databaseUrl, env: { ...env, NODE_NAME: 'b' } }),
    ]);
  });
  after(async () => {
    await Promise.all([a.stop(), b.stop()]);
  });

  test('tokens and sessions of one are good at the other', async () => {
    const account = await register(a);
    assert.equal(await worth(b, account.tokens.access_token), 'valid');
    tokensOf(await refresh(b, account.tokens.refresh_token));
    tokensOf(await login(b, account));
    assert.equal((await me(b, account.tokens.access_token)).status, 200);
  });

  test('REV-01 a logout on one is refused on the other when the receipt says so, 50 times', async () => {
    const account = await register(a);
    let everywhere = 0;
    for (let round = 0; round < 50; round += 1) {
      const [here, there] = round % 2 === 0 ? [a, b] : [b, a];
      const { access_token: token, refresh_token: renewal } = tokensOf(await login(here, account));
      // The other one has it in its cache of verified tokens.
      assert.equal(await worth(there, token), 'valid');
      const receipt = receiptOf(await logout(here, token));
      if (receipt.effective_everywhere) {
        everywhere += 1;
        assert.deepEqual(receipt.pending_nodes, []);
      } else {
        assert.deepEqual(receipt.pending_nodes, [there === a ? 'a' : 'b']);
        const end = Date.parse(receipt.effective_by);
        await until('the moment that the receipt names', async () => Date.now() >= end);
      }
      assert.notEqual(await worth(there, token), 'valid');
      assert.notEqual(await worth(here, token), 'valid');
      assertProblem(await refresh(there, renewal), 401, 'invalid_refresh_token');
    }
    assert.ok(everywhere >= 45, `${everywhere} of 50 were in force everywhere when they were answered`);
  });

  test('REF-04 refreshes of one token on both at once have one successor', async () => {
    const { tokens } = await register(a);
    let token = tokens.refresh_token;
    for (let round = 0; round < 20; round += 1) {
      const answers = await Promise.all(Array.from({ length: 8 }, (_, at) => refresh(at % 2 === 0 ? a : b, token)));
      const successors = new Set(answers.map((answer) => tokensOf(answer).refresh_token));
      assert.equal(successors.size, 1);
      [token = ''] = successors;
    }
  });

  test('LCK-01 failures on one count on the other', async () => {
    const account = await register(a);
    for (let at = 0; at < 5; at += 1) {
      assertProblem(
        await login(at % 2 === 0 ? a : b, { ...account, password: `wrong ${at} password` }),
        401,
        'invalid_credentials',
      );
    }
    for (const service of [a, b]) assertProblem(await login(service, account), 429, 'account_locked');
  });

  test('KEY-02 a key that one makes is known to the other before it signs', async () => {
    const account = await register(a);
    const rotated = await a.cli(['keys', 'rotate', '--now', '--json']);
    assert.equal(rotated.code, 0, rotated.stderr);
    const { kid } = (JSON.parse(rotated.stdout) as { key: { kid: string } }).key;
    let renewal = account.tokens.refresh_token;
    const signs = async (service: RunningService): Promise<boolean> => {
      const tokens = tokensOf(await refresh(service, renewal));
      renewal = tokens.refresh_token;
      for (const one of [a, b]) assert.equal(await worth(one, tokens.access_token), 'valid');
      const header = JSON.parse(Buffer.from(tokens.access_token.split('.')[0] ?? '', 'base64url').toString()) as {
        kid: string;
      };
      return header.kid === kid;
    };
    for (const service of [a, b]) await until('the new key', () => signs(service));
  });

  test('KEY-04 a role, an account and a key that are ended beside the services are ended in both', async () => {
    const account = await register(a);
    assert.equal((await a.cli(['users', 'revoke-sessions', account.email])).code, 0);
    for (const service of [a, b]) {
      await until('the end', async () => (await worth(service, account.tokens.access_token)) === 'revoked');
    }
  });

  test('a node that stops in good order is waited for by nobody; one that is killed is, until its lease ends', async () => {
    const account = await register(a);
    assert.equal(await b.halt(), 0);
    const alone = receiptOf(await logout(a, tokensOf(await login(a, account)).access_token));
    assert.deepEqual([alone.effective_everywhere, alone.acknowledged_nodes], [true, 1]);

    await b.start();
    await b.kill9();
    const { access_token: token } = tokensOf(await login(a, account));
    const receipt = receiptOf(await logout(a, token));
    assert.deepEqual([receipt.effective_everywhere, receipt.pending_nodes], [false, ['b']]);
    const left = Date.parse(receipt.effective_by) - Date.now();
    assert.ok(left > 0 && left <= 5_500, `${left} ms`);
    const { access_token: viewer } = tokensOf(await login(a, account));
    const settled = await until('the lease to end', async () => {
      const now = receiptOf(await a.api.get(`/api/auth/revocations/${receipt.position}`, { token: viewer }));
      return now.effective_everywhere && Date.now();
    });
    assert.ok(settled <= Date.parse(receipt.effective_by) + besideOthers(1_500));
    await b.start();
    assert.equal(await worth(b, token), 'revoked');
    for (const service of [a, b]) {
      assert.equal(await service.halt(), 0);
      assertQuiet(service);
    }
  });
});
