/** Recovery from the inside: what a reset ends and what it leaves, and that nobody's address costs what somebody's does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Core } from '../../packages/server/src/core.ts';
import { createRootSecret } from '../../packages/server/src/keys/index.ts';
import {
  type Database,
  one,
  type Queryable,
  type Statement,
  statement,
} from '../../packages/server/src/platform/database/index.ts';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import { systemClock } from '../../packages/server/src/platform/time/index.ts';
import { forEachStore } from '../support/stores.ts';
import { scan } from '../support/totp-app.ts';
import { login, openRooms, origin, password, register } from './rooms.ts';

const rootSecret = 'a-root-secret-of-the-tests-2b8d4f6a0c13';
const root = createRootSecret({ current: rootSecret, previous: undefined, random: systemRandom });
const next = 'a better staple altogether';

const findMails = statement<[], { id: string; kind: string; payload: Uint8Array }>(
  'test_mail_outbox_newest',
  'select id, kind, payload from mail_outbox order by id desc',
);
const countFactors = statement<[string], { apps: number; codes: number; mfa: boolean }>(
  'test_count_factors',
  `select (select count(*) from totp_factors where user_id = u.id) as apps,
          (select count(*) from recovery_codes where user_id = u.id) as codes, u.mfa_enabled as mfa
     from users u where u.id = $1`,
);
const countRows = statement<[], { rows: number }>('test_mail_outbox_rows', 'select count(*) as rows from mail_outbox');
/** The code of the latest mail of this kind, read as the worker reads it. */
async function codeIn(db: Queryable, kind: string): Promise<string> {
  const mail = (await db.run(findMails, [])).find((row) => row.kind === kind);
  assert.ok(mail !== undefined, `no mail of kind ${kind}`);
  const opened = root.open('mail', `${mail.id}/${mail.kind}`, mail.payload);
  const { values } = JSON.parse(opened?.plain.toString() ?? '{}') as { values: { code?: string } };
  assert.ok(values.code !== undefined);
  return values.code;
}

async function enrol(core: Core, user: { id: string }, sessionId: string): Promise<void> {
  const owner = { userId: user.id, sessionId, acr: 'aal1', origin };
  const begun = await core.mfa.enrolment.beginTotp(owner);
  assert.ok(begun.kind === 'done');
  const app = scan(begun.value.otpauth_uri);
  const confirmed = await core.mfa.enrolment.confirmTotp(owner, app.code(systemClock.wallMs()));
  assert.ok(confirmed.kind === 'done', JSON.stringify(confirmed));
}

/** The same database, that notes the names of the statements that it is given. */
function traced(db: Database): { readonly db: Database; readonly names: string[] } {
  const names: string[] = [];
  const noting = (on: Queryable): Queryable => ({
    run<P extends readonly unknown[], R>(what: Statement<P, R>, params: P) {
      names.push(what.name);
      return on.run(what, params);
    },
  });
  const noted: Database = {
    ...{ kind: db.kind, execute: db.execute.bind(db), dedicated: db.dedicated.bind(db) },
    ...{ session: db.session.bind(db), pool: db.pool.bind(db), close: async () => undefined },
    run: noting(db).run,
    transaction: (work) => {
      names.push('begin');
      return db.transaction((tx) => work(noting(tx)));
    },
  };
  return { db: noted, names };
}

forEachStore('recovery', (makeDatabase) => {
  test('PWD-11, MFA a reset leaves the second factors of a proven account, and the next login asks for one', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret });
    const { email, user, session_id: sessionId } = await register(core);
    await core.recovery.resendVerification(email, origin);
    assert.equal((await core.recovery.verifyEmail(await codeIn(db, 'verify_email'), origin)).kind, 'done');
    await enrol(core, user, sessionId);
    await core.recovery.forgotPassword(email, origin);
    const done = await core.recovery.resetPassword(await codeIn(db, 'reset_password'), next, origin);
    assert.ok(done.kind === 'done', JSON.stringify(done));
    const outcome = await core.login({ email, password: next, deviceToken: undefined, origin });
    assert.equal(outcome.kind, 'mfa_required');
    assert.deepEqual(await one(db, countFactors, [user.id]), { apps: 1, codes: 10, mfa: true });
    await stop();
  });

  test('PWD-11 EML-08 a reset of an account that nobody had proven ends what was set before, and is no way around its factors', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret });
    const { email, user, session_id: sessionId, refresh_token: refreshToken } = await register(core);
    await enrol(core, user, sessionId);
    await core.recovery.forgotPassword(email, origin);
    const done = await core.recovery.resetPassword(await codeIn(db, 'reset_password'), next, origin);
    assert.ok(done.kind === 'done');
    assert.deepEqual(await one(db, countFactors, [user.id]), { apps: 1, codes: 10, mfa: true });
    assert.equal((await core.refresh(refreshToken, origin)).kind, 'refused');
    const outcome = await core.login({ email, password: next, deviceToken: undefined, origin });
    assert.equal(outcome.kind, 'mfa_required');
    assert.equal((await core.users.find(email))?.email_verified, true);
    await stop();
  });

  test('REV-02 mailed codes end with a changed password, a logout everywhere and a disabled account', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret });
    const endings: Readonly<Record<string, (userId: string, sessionId: string) => Promise<unknown>>> = {
      'password changed': (userId, sessionId) =>
        core.profile.changePassword({ userId, sessionId, origin }, { current: password, next }),
      'logout everywhere': (userId) =>
        core.revokeAll(userId, { keep: null, reason: 'logout_all', actor: userId, origin }),
      'logout of the others': (userId, keep) =>
        core.revokeAll(userId, { keep, reason: 'logout_all', actor: userId, origin }),
    };
    for (const [name, end] of Object.entries(endings)) {
      const { email, user, session_id: sessionId } = await register(core);
      await core.recovery.forgotPassword(email, origin);
      const code = await codeIn(db, 'reset_password');
      await end(user.id, sessionId);
      const refused = await core.recovery.resetPassword(code, 'yet another staple', origin);
      assert.deepEqual(refused, { kind: 'refused', code: 'invalid_mail_token' }, name);
    }
    const { email } = await register(core);
    await core.recovery.forgotPassword(email, origin);
    const code = await codeIn(db, 'reset_password');
    await login(core, email);
    assert.equal((await core.recovery.resetPassword(code, next, origin)).kind, 'done', 'a login ends no code');
    await stop();
  });

  test('ENU-02, ENU-03, ENU-04 known and unknown addresses cost the same statements and rows of the outbox', async () => {
    const { db, names } = traced(await makeDatabase());
    const variables = { EMAIL_VERIFICATION: 'required' };
    const { core, stop } = await openRooms(db, { rootSecret, variables });
    const begin = (email: string) => core.register({ email, password: next, firstName: null, lastName: null, origin });
    const [unproven, proven] = ['unproven@example.org', 'proven@example.org'];
    for (const email of [unproven, proven]) await begin(email);
    await core.recovery.verifyEmail(await codeIn(db, 'verify_email'), origin);
    const cost = async (work: () => Promise<unknown>): Promise<unknown> => {
      const rows = (await one(db, countRows, []))?.rows ?? 0;
      names.length = 0;
      await work();
      const ran = [...names];
      return { ran, rows: ((await one(db, countRows, []))?.rows ?? 0) - rows };
    };
    let n = 0;
    const nobody = (): string => `nobody-${n++}@example.org`;
    const tries: Readonly<Record<string, (email: string) => Promise<unknown>>> = {
      register: begin,
      forgot: (email) => core.recovery.forgotPassword(email, origin),
      resend: (email) => core.recovery.resendVerification(email, origin),
      login: (email) => core.login({ email, password: 'wrong and wrong', deviceToken: undefined, origin }),
    };
    for (const [name, attempt] of Object.entries(tries)) {
      const wanted = await cost(() => attempt(nobody()));
      for (const email of [unproven, proven]) assert.deepEqual(await cost(() => attempt(email)), wanted, name);
    }
    const mails = (await one(db, countRows, []))?.rows;
    assert.equal(mails, 2 + 3 * 3, 'one row for each but a login');
    await stop();
  });

  test('ENU-05, LCK-08 a lock writes one row into the outbox, for nobody too', async () => {
    const { db, names } = traced(await makeDatabase());
    const { core, stop } = await openRooms(db, { rootSecret });
    const { email } = await register(core);
    const ran: string[] = [];
    for (const address of [email, 'nobody@example.org']) {
      names.length = 0;
      for (let n = 0; n < 8; n += 1)
        await core.login({ email: address, password: next, deviceToken: undefined, origin });
      ran.push(names.join());
    }
    assert.equal(ran[0], ran[1]);
    assert.deepEqual(
      (await db.run(findMails, [])).map(({ kind }) => kind),
      ['nothing', 'account_locked'],
    );
    await stop();
  });

  test('EML-06 a code is over when its time is', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret });
    const { email } = await register(core);
    for (const [kind, minutes] of [
      ['reset_password', 30],
      ['verify_email', 24 * 60],
    ] as const) {
      const ask = kind === 'reset_password' ? core.recovery.forgotPassword : core.recovery.resendVerification;
      const prove = (code: string) =>
        kind === 'reset_password'
          ? core.recovery.resetPassword(code, next, origin)
          : core.recovery.verifyEmail(code, origin);
      await ask(email, origin);
      const code = await codeIn(db, kind);
      const move = (by: number) =>
        db.execute(
          `update mail_tokens set expires_at = expires_at - interval '${by} minutes' where purpose = '${kind}'`,
        );
      await move(minutes);
      assert.equal((await prove(code)).kind, 'refused', kind);
      await move(-1);
      if (kind === 'verify_email') assert.equal((await prove(code)).kind, 'done', kind);
    }
    await stop();
  });

  test('REV-02 a session that ended while its request was under way asks for no other address', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret });
    const { user, session_id: sessionId } = await register(core);
    assert.ok((await core.sessions.end(user.id, sessionId, 'revoked', origin)) !== undefined);
    const by = { userId: user.id, sessionId, acr: 'aal1', origin };
    const outcome = await core.recovery.changeEmail(by, 'other@example.org', password);
    assert.equal(outcome.kind === 'refused' ? outcome.code : outcome.kind, 'token_revoked');
    assert.equal((await one(db, countRows, []))?.rows, 0);
    await stop();
  });

  test('REV-02 a link that changes the address is dead with the session that asked for it, and lives with others’ ends', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret });
    const { user, email, session_id: sessionId } = await register(core);
    const kept = await login(core, email);
    const ask = async (by: string, address: string): Promise<string> => {
      const asked = { userId: user.id, sessionId: by, acr: 'aal1', origin };
      assert.equal((await core.recovery.changeEmail(asked, address, password)).kind, 'done');
      const code = await codeIn(db, 'change_email');
      await db.execute('delete from mail_outbox');
      return code;
    };
    const stolen = await ask(sessionId, 'thief@example.org');
    assert.ok((await core.sessions.end(user.id, sessionId, 'revoked', origin)) !== undefined);
    for (let time = 0; time < 2; time += 1) {
      const outcome = await core.recovery.verifyEmail(stolen, origin);
      assert.equal(outcome.kind === 'refused' ? outcome.code : outcome.kind, 'invalid_mail_token');
    }
    assert.ok((await core.users.find(email)) !== undefined);
    const other = await login(core, email);
    const own = await ask(kept.session_id, 'new@example.org');
    await core.sessions.end(user.id, other.session_id, 'logout', origin);
    assert.equal((await core.recovery.verifyEmail(own, origin)).kind, 'done');
    await stop();
  });

  test('EML-08 who registers an address again gets no account that an administrator has verified or given roles', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret, variables: { EMAIL_VERIFICATION: 'required' } });
    const stranger = { password: 'a stranger chose this one', firstName: null, lastName: null, origin };
    const raisings = ['email_verified = true', "roles = '{user,admin}'", "status = status, roles = '{admin}'"];
    for (const [at, raised] of raisings.entries()) {
      const email = `second-${at}@example.org`;
      await core.register({ ...stranger, email, password });
      await core.register({ ...stranger, email });
      const code = await codeIn(db, 'verify_email');
      await db.execute(`update users set ${raised} where email = '${email}'`);
      const outcome = await core.recovery.verifyEmail(code, origin);
      assert.equal(outcome.kind === 'refused' ? outcome.code : outcome.kind, 'invalid_mail_token', raised);
      await db.execute(`delete from mail_outbox`);
      await core.register({ ...stranger, email });
      assert.deepEqual(
        (await db.run(findMails, [])).map(({ kind }) => kind),
        ['already_registered'],
      );
    }
    await stop();
  });
});
