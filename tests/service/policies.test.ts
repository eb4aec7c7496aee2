/** What the operator decides: verified addresses, the first administrator; and the command line that works with accounts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { run } from '../../packages/server/src/program.ts';
import { type Answer, assertProblem, tokensOf } from '../support/http.ts';
import { type Ended, makeFolder, runProgram, sharedPostgres, startService } from '../support/service.ts';
import { assertQuiet, login, newEmail, newPassword, onEachStore, register, validate } from './support/suite.ts';

onEachStore(
  'EMAIL_VERIFICATION=required',
  (service) => {
    const post = (user: object): Promise<Answer> =>
      service().api.post('/api/auth/register', { user }, { headers: { 'X-Request-Id': 'one-for-all' } });
    const shape = ({ status, text, headers }: Answer): string => {
      const { date: _date, ...rest } = headers;
      return JSON.stringify([status, text, rest]);
    };

    test('ENU-03 a registration is answered alike for a new and for a known address, and starts no session', async () => {
      const user = { email: newEmail(), password: newPassword() };
      const first = await post(user);
      assert.deepEqual([first.status, first.body], [202, { status: 'verification_sent' }]);
      for (const again of [user, { ...user, password: newPassword() }, { ...user, email: user.email.toUpperCase() }]) {
        assert.equal(shape(await post(again)), shape(first));
      }
      const many = await Promise.all(Array.from({ length: 8 }, () => post({ ...user, email: newEmail() })));
      for (const answer of many) assert.equal(shape(answer), shape(first));
      assertProblem(await post({ ...user, email: 'nonsense' }), 422, 'validation_failed');
      assertProblem(await post({ ...user, password: 'short' }), 422, 'validation_failed');
    });

    test('ENU-01 only the right password tells that an address is not verified yet; the operator may verify it', async () => {
      const user = { email: newEmail(), password: newPassword() };
      await post(user);
      assertProblem(await login(service(), { ...user, password: newPassword() }), 401, 'invalid_credentials');
      assertProblem(await login(service(), user), 403, 'email_not_verified');
      const done = await service().cli(['users', 'verify', user.email]);
      assert.equal(done.code, 0, done.stderr);
      assert.equal(tokensOf(await login(service(), user)).user.email_verified, true);
      assert.equal((await service().cli(['users', 'verify', newEmail()])).code, 1);
    });

    test('EML-08 a second registration does not change the password of the first', async () => {
      const user = { email: newEmail(), password: newPassword() };
      await post(user);
      const other = { ...user, password: newPassword() };
      await post(other);
      await service().cli(['users', 'verify', user.email]);
      assertProblem(await login(service(), other), 401, 'invalid_credentials');
      tokensOf(await login(service(), user));
    });
  },
  { env: { EMAIL_VERIFICATION: 'required' } },
);

test('AZ-06 the first administrator is made at the first start, and at no other', async (t) => {
  const admin = { email: newEmail('admin'), password: newPassword() };
  const env = { BOOTSTRAP_ADMIN_EMAIL: admin.email, BOOTSTRAP_ADMIN_PASSWORD: admin.password };
  const service = await startService({ store: 'postgres', env });
  t.after(() => service.stop());
  const tokens = tokensOf(await login(service, admin));
  assert.deepEqual(tokens.user.roles, ['admin', 'user']);
  assert.equal((await validate(service, tokens.access_token, { required_permissions: ['keys:rotate'] })).valid, true);
  assert.deepEqual((await register(service)).tokens.user.roles, ['user']);
  assert.equal(await service.halt(), 0);

  const changed = { email: newEmail('other'), password: newPassword() };
  service.secrets.add(changed.password);
  await service.start({ BOOTSTRAP_ADMIN_EMAIL: changed.email, BOOTSTRAP_ADMIN_PASSWORD: changed.password });
  assertProblem(await login(service, changed), 401, 'invalid_credentials');
  tokensOf(await login(service, admin));
  assert.equal(await service.halt(), 0);
  assertQuiet(service);
});

test('AZ-06 nobody is an administrator by coming first', async (t) => {
  const service = await startService({ store: 'postgres' });
  t.after(() => service.stop());
  assert.deepEqual((await register(service)).tokens.user.roles, ['user']);
  const { stdout } = await service.cli(['users', 'list', '--json']);
  assert.equal((JSON.parse(stdout) as { users: unknown[] }).users.length, 1);
});

test('help shows every command with examples and is 0; wrong usage is 2 and says how it goes', async () => {
  const folder = makeFolder();
  for (const [args, code] of [
    [['help'], 0],
    [['users', 'list', '--nonsense'], 2],
  ] as const) {
    assert.equal((await runProgram(args, { env: {}, cwd: folder })).code, code);
  }
  const cli = (...args: string[]) => runWords(args, folder);
  const help = await cli('help');
  assert.equal(help.code, 0);
  for (const command of [
    'start',
    'migrate',
    'doctor',
    'config',
    'openapi',
    'users create',
    'users list',
    'users disable',
    'users grant',
    'users revoke-sessions',
    'roles list',
    'roles create',
    'roles delete',
    'keys list',
    'keys rotate',
    'audit verify',
  ]) {
    assert.ok(help.stdout.includes(command), command);
    const own = await cli(...command.split(' '), '--help');
    assert.equal(own.code, 0, command);
    assert.match(own.stdout, /example/i);
  }
  const wrong = [
    ['nonsense'],
    ['users'],
    ['users', 'nonsense'],
    ['users', 'grant'],
    ['users', 'grant', 'a@example.org'],
    ['users', 'list', '--nonsense'],
    ['users', 'list', 'extra'],
    ['roles', 'create'],
    ['start', '--nonsense'],
    ['migrate', 'x'],
    ['keys', 'revoke'],
    ['users', 'list', '--limit'],
  ];
  for (const args of wrong) {
    const ended = await cli(...args);
    assert.equal(ended.code, 2, args.join(' '));
    assert.match(ended.stderr, /usage|help/i, args.join(' '));
    assert.equal(ended.stdout, '');
  }
});

/** The program in this process, for what needs no process of its own. */
async function runWords(words: readonly string[], workingDirectory: string): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk, _encoding, done) {
        said[name] += String(chunk);
        done();
      },
    });
  const code = await run({
    words,
    environment: {},
    workingDirectory,
    readFile: (path) => readFileSync(path, 'utf8'),
    terminal: { stdin: Readable.from([]), stdout: sink('stdout'), stderr: sink('stderr') },
    machine: { cores: 1, hostName: 'test', suffix: 'x', isTerminal: false },
    monotonicMs: () => performance.now(),
    uptimeMs: () => 0,
    onSignal: () => undefined,
    onFailure: () => undefined,
    onReplace: () => undefined,
    exit: () => assert.fail('these words end by themselves'),
    collectGarbage: () => undefined,
  });
  return { code, ...said };
}

onEachStore('command line', (service) => {
  const cli = (...args: string[]) => service().cli(args);

  test('an account is created with a password from a pipe, a file or made up, and can log in', async () => {
    const password = newPassword();
    service().secrets.add(password);
    const email = newEmail();
    const piped = await service().cli(['users', 'create', email, '--role', 'admin', '--password-file', '-', '--json'], {
      input: `${password}\n`,
    });
    assert.equal(piped.code, 0, piped.stderr);
    const { user } = JSON.parse(piped.stdout) as { user: { id: string; roles: string[] } };
    assert.deepEqual(user.roles, ['admin', 'user']);
    assert.equal(tokensOf(await login(service(), { email, password })).user.id, user.id);
    assert.ok(!piped.stdout.includes(password) && !piped.stderr.includes(password));

    const generated = await cli('users', 'create', newEmail(), '--generate', '--json');
    const made = JSON.parse(generated.stdout) as { user: { email: string }; password: string };
    tokensOf(await login(service(), { email: made.user.email, password: made.password }));

    const wrong = [
      [['users', 'create', email, '--password-file', '-'], newPassword()],
      [['users', 'create', 'nonsense', '--password-file', '-'], newPassword()],
      [['users', 'create', newEmail(), '--password-file', '-'], 'short'],
      [['users', 'create', newEmail(), '--password-file', '-', '--role', 'nobody'], newPassword()],
      [['users', 'create', newEmail(), '--password-file', '/nothing'], ''],
      [['users', 'grant', email, 'nothing'], ''],
      [['users', 'grant', newEmail(), 'admin'], ''],
      [['users', 'disable', '\u001b[31m'], ''],
      [['roles', 'create', 'Bad Name'], ''],
      [['roles', 'create', 'good', '--permission', 'nonsense'], ''],
      [['roles', 'create', 'admin'], ''],
      [['roles', 'delete', 'admin'], ''],
      [['roles', 'delete', 'user'], ''],
      [['roles', 'delete', 'nothing'], ''],
      [['keys', 'revoke', 'nothing'], ''],
    ] as const;
    // The refusals are the same on both stores; here it is about the way to them.
    for (const [args, input] of service().store === 'embedded' ? wrong : wrong.slice(0, 4)) {
      const ended = await service().cli(args, { input });
      assert.equal(ended.code, 1, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`);
      assert.notEqual(ended.stderr, '');
      assert.doesNotMatch(ended.stderr, /\n\s+at /, 'no stack');
      assert.ok(!ended.stderr.includes('\u001b'), 'no control characters');
    }
  });

  test('a value that cannot be is wrong usage', async () => {
    for (const args of [
      ['users', 'list', '--limit=-1'],
      ['users', 'list', '--limit', 'x'],
      ['audit', 'list', '--limit', '0'],
    ]) {
      const ended = await cli(...args);
      assert.deepEqual([ended.code, ended.stdout], [2, ''], args.join(' '));
      assert.match(ended.stderr, /--limit is a whole number/);
    }
  });

  test('every listing has a form for programs', async () => {
    const { email } = await register(service());
    const listings: readonly (readonly [readonly string[], string])[] = [
      [['users', 'list', '--search', email], 'users'],
      [['roles', 'list'], 'roles'],
      [['keys', 'list'], 'keys'],
      [['audit', 'list', '--limit', '5'], 'events'],
      [['doctor'], 'findings'],
      [['config'], 'settings'],
    ];
    for (const [args, member] of listings) {
      const ended = await cli(...args, '--json');
      assert.equal(ended.code, 0, `${args.join(' ')}: ${ended.stdout} ${ended.stderr}`);
      const list = (JSON.parse(ended.stdout) as Record<string, unknown[]>)[member];
      assert.ok(Array.isArray(list) && list.length > 0, ended.stdout);
      // How a listing looks does not depend on the store.
      if (service().store === 'postgres') continue;
      const plain = await cli(...args);
      assert.equal(plain.code, 0);
      assert.notEqual(plain.stdout.trim(), '');
    }
    const doctor = JSON.parse((await cli('doctor', '--json')).stdout) as { findings: readonly { check: string }[] };
    const checks = doctor.findings.map(({ check }) => check);
    for (const check of ['configuration', 'database', 'redis', 'clock'])
      assert.ok(checks.includes(check), `${check}: ${checks.join()}`);
    const openapi = await cli('openapi');
    const served = await service().api.document();
    assert.deepEqual(Object.keys((JSON.parse(openapi.stdout) as typeof served).paths), Object.keys(served.paths));
  });

  test('migrate --status works beside the running service', async () => {
    const ended = await cli('migrate', '--status', '--json');
    if (service().store === 'postgres') {
      assert.equal(ended.code, 0, ended.stderr);
      assert.equal((JSON.parse(ended.stdout) as { pending: number }).pending, 0);
    } else assert.match(ended.stdout + ended.stderr, /in use|runs|running|pending/i);
  });

  test('LOG-02 every security event is in the audit log, with what came of it', async () => {
    const account = await register(service());
    await login(service(), { ...account, password: newPassword() });
    tokensOf(await login(service(), account));
    await service().api.post('/api/auth/logout', undefined, { token: account.tokens.access_token });
    await cli('users', 'disable', account.email);
    const { stdout } = await cli('audit', 'list', '--about', account.tokens.user.id, '--json', '--limit', '100');
    const { events } = JSON.parse(stdout) as {
      events: { type: string; outcome: string; actor: string | null; ip: string | null }[];
    };
    const seen = events.map(({ type, outcome }) => `${type} ${outcome}`);
    for (const wanted of [
      'user.registered success',
      'authn_login failure',
      'authn_login success',
      'session.logout success',
      'user.disabled success',
    ]) {
      assert.ok(seen.includes(wanted), `${wanted} in ${seen.join(', ')}`);
    }
    assert.ok(events.some((event) => event.ip === '127.0.0.1'));
  });

  test('LOG-04 the audit log proves whole', async () => {
    const ended = await cli('audit', 'verify', '--json');
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    const result = JSON.parse(ended.stdout) as { valid: boolean; checked: number };
    assert.ok(result.valid && result.checked > 0, ended.stdout);
  });
});

test('LOG-04 the audit log is append-only, and verify names the first row that was tampered with', async (t) => {
  const service = await startService({ store: 'postgres' });
  t.after(() => service.stop());
  for (let at = 0; at < 5; at += 1) await register(service);
  assert.equal(await service.halt(), 0);
  const server = await sharedPostgres();
  const sql = (text: string) => server.query(text, service.databaseUrl);
  for (const change of [
    "update audit_events set outcome = 'denied'",
    'delete from audit_events',
    'truncate audit_seals, audit_events',
    'update audit_seals set seq = seq + 1000',
  ]) {
    await assert.rejects(sql(change), /append-only/);
  }
  const verify = async () => {
    const ended = await service.cli(['audit', 'verify', '--json']);
    return {
      code: ended.code,
      ...(JSON.parse(ended.stdout) as { valid: boolean; first_invalid: { id: string; seq: number | null } | null }),
    };
  };
  assert.equal((await verify()).valid, true);
  const rows = await sql('select event_id, seq from audit_seals order by seq');
  const row = rows[2];
  assert.ok(row !== undefined);
  const tamper = async (change: string, undo: string, named: boolean) => {
    await sql(`alter table audit_events disable trigger all; alter table audit_seals disable trigger all; ${change}`);
    const broken = await verify();
    assert.deepEqual([broken.code, broken.valid], [1, false], change);
    if (named) assert.equal(broken.first_invalid?.id, row['event_id'], change);
    await sql(`${undo}; alter table audit_events enable trigger all; alter table audit_seals enable trigger all`);
  };
  const id = `'${String(row['event_id'])}'`;
  await tamper(
    `update audit_events set actor = 'somebody' where id = ${id}`,
    `update audit_events set actor = target where id = ${id}`,
    true,
  );
  await tamper(`update audit_events set time = time + interval '1 second' where id = ${id}`, 'select 1', true);
});
