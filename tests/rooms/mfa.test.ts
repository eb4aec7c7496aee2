/** Second factors from the inside: with a clock that is moved by hand, in races, and with rows that are looked at. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FactorOwner, Proof } from '../../packages/server/src/mfa/index.ts';
import type { Database } from '../../packages/server/src/platform/database/index.ts';
import { createManualClock, type ManualClock } from '../../packages/server/src/platform/time/index.ts';
import { forEachStore } from '../support/stores.ts';
import { scan, type TotpApp } from '../support/totp-app.ts';
import { login, openRooms, origin, password, type Rooms, type RoomsOptions, register } from './rooms.ts';

const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';

interface Enrolled {
  readonly email: string;
  readonly owner: FactorOwner;
  readonly app: TotpApp;
  readonly codes: readonly string[];
}

/** An account whose app was confirmed with the code of the step before the clock's. */
async function enrol({ core }: Rooms, clock: ManualClock, acr = 'aal1'): Promise<Enrolled> {
  const { email, user, session_id: sessionId } = await register(core);
  const owner = { userId: user.id, sessionId, acr, origin };
  const begun = await core.mfa.enrolment.beginTotp(owner);
  assert.ok(begun.kind === 'done');
  const app = scan(begun.value.otpauth_uri);
  const confirmed = await core.mfa.enrolment.confirmTotp(owner, app.code(clock.wallMs(), -1));
  assert.ok(confirmed.kind === 'done', JSON.stringify(confirmed));
  return { email, owner: { ...owner, acr: 'aal2' }, app, codes: confirmed.value };
}

async function firstStep({ core }: Rooms, email: string): Promise<string> {
  const outcome = await core.login({ email, password, deviceToken: undefined, origin });
  assert.ok(outcome.kind === 'mfa_required', outcome.kind);
  return outcome.token;
}

/** `logged_in`, or the code of the refusal. */
async function verify({ core }: Rooms, token: string, proof: Proof): Promise<string> {
  const outcome = await core.secondStep.verify({ token, proof, origin });
  return outcome.kind === 'refused' ? outcome.code : outcome.kind;
}

const totp = (code: string): Proof => ({ kind: 'totp', code });
const recovery = (code: string): Proof => ({ kind: 'recovery_code', code });
const codeOf = (outcome: { readonly kind: string; readonly code?: string }): string => outcome.code ?? outcome.kind;
const times = <T>(count: number, work: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => work(at)));

forEachStore('second factors', (makeDatabase) => {
  async function withRooms(
    work: (rooms: Rooms, clock: ManualClock, db: Database) => Promise<void>,
    options: RoomsOptions = {},
  ): Promise<void> {
    const db = await makeDatabase();
    const clock = createManualClock(Date.now());
    const rooms = await openRooms(db, { rootSecret, clock, ...options });
    try {
      await work(rooms, clock, db);
    } finally {
      await rooms.stop();
    }
  }

  test('MFA-02 a code is right one step before and after its own, by the clock of the service', () =>
    withRooms(async (rooms, clock, db) => {
      const { email, app } = await enrol(rooms, clock);
      const results: string[] = [];
      for (const steps of [-2, -1, 0, 1, 2]) {
        await db.execute('update totp_factors set last_step = 0');
        results.push(await verify(rooms, await firstStep(rooms, email), totp(app.code(clock.wallMs(), steps))));
      }
      assert.deepEqual(results, ['mfa_invalid', 'logged_in', 'logged_in', 'logged_in', 'mfa_invalid']);
    }));

  test('MFA-01 a code works once, and no code of an earlier step after it', () =>
    withRooms(async (rooms, clock) => {
      const { email, app } = await enrol(rooms, clock);
      const tries = [-1, 1, 1, 0];
      const results: string[] = [];
      for (const steps of tries) {
        results.push(await verify(rooms, await firstStep(rooms, email), totp(app.code(clock.wallMs(), steps))));
      }
      // The first has confirmed the app.
      assert.deepEqual(results, ['mfa_invalid', 'logged_in', 'mfa_invalid', 'mfa_invalid']);
      clock.advance(60_000);
      const later = app.code(clock.wallMs());
      assert.equal(await verify(rooms, await firstStep(rooms, email), totp(later)), 'logged_in');
    }));

  test('MFA-01 of fifty uses of one code at once, over two nodes, one is a login', () =>
    withRooms(async (rooms, clock, db) => {
      const other = await openRooms(db, { rootSecret, clock });
      const { email, app, owner } = await enrol(rooms, clock);
      const tokens: string[] = [];
      for (let at = 0; at < 50; at += 1) tokens.push(await firstStep(rooms, email));
      const code = app.code(clock.wallMs());
      const results = await times(50, (at) => verify(at % 2 === 0 ? rooms : other, tokens[at] ?? '', totp(code)));
      assert.equal(results.filter((one) => one === 'logged_in').length, 1, results.join());
      assert.ok(results.every((one) => ['logged_in', 'mfa_invalid', 'account_locked', 'overloaded'].includes(one)));
      // The one that registered, and the one that won.
      assert.equal((await rooms.core.sessions.list(owner.userId)).length, 2);
      await other.stop();
    }));

  test('MFA-08 of fifty uses of one recovery code at once one is a login; it is told once, and ends the other sessions', () =>
    withRooms(async (rooms, clock, db) => {
      const other = await openRooms(db, { rootSecret, clock });
      const { email, codes, owner } = await enrol(rooms, clock);
      const tokens: string[] = [];
      for (let at = 0; at < 50; at += 1) tokens.push(await firstStep(rooms, email));
      const before = await rooms.core.mail.count();
      const results = await times(50, (at) =>
        verify(at % 2 === 0 ? rooms : other, tokens[at] ?? '', recovery(codes[3] ?? '')),
      );
      assert.equal(results.filter((one) => one === 'logged_in').length, 1, results.join());
      assert.equal((await rooms.core.sessions.list(owner.userId)).length, 1);
      const { events: used } = await rooms.core.audit.list({ type: 'mfa.recovery_code_used' }, { limit: 100 });
      assert.deepEqual(
        used.map(({ target, detail }) => [target, detail['left']]),
        [[owner.userId, 9]],
      );
      const locked = results.includes('account_locked') ? 1 : 0;
      assert.equal((await rooms.core.mail.count()).waiting - before.waiting, 1 + locked);
      await other.stop();
    }));

  test('MFA-08 recovery codes are ten, of 80 bits, differ, and stand nowhere in the store; a new set ends the old', () =>
    withRooms(async (rooms, clock, db) => {
      const { email, codes, owner } = await enrol(rooms, clock);
      assert.equal(new Set(codes).size, 10);
      for (const code of codes) assert.match(code, /^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/);
      const stored = JSON.stringify(await dump(db, 'recovery_codes'));
      for (const code of codes) assert.ok(!stored.includes(code) && !stored.includes(code.replaceAll('-', '')));
      const renewed = await rooms.core.mfa.enrolment.renewRecoveryCodes(owner);
      assert.ok(renewed.kind === 'done');
      assert.equal(await verify(rooms, await firstStep(rooms, email), recovery(codes[0] ?? '')), 'mfa_invalid');
      const spelled = (renewed.value[0] ?? '').toUpperCase().replaceAll('-', ' ');
      assert.equal(await verify(rooms, await firstStep(rooms, email), recovery(spelled)), 'logged_in');
      assert.equal(await verify(rooms, await firstStep(rooms, email), recovery(spelled)), 'mfa_invalid');
    }));

  test('MFA-03 LCK-04 after ten wrong codes, over any number of challenges, the right one is refused; the password is not', () =>
    withRooms(async (rooms, clock, db) => {
      const { email, app, owner } = await enrol(rooms, clock);
      const results: string[] = [];
      for (let at = 0; at < 12; at += 1) {
        const proof = at % 3 === 0 ? recovery('aaaa-bbbb-cccc-dddd') : totp(app.wrong(clock.wallMs()));
        results.push(await verify(rooms, await firstStep(rooms, email), proof));
      }
      assert.deepEqual(results, [...Array(10).fill('mfa_invalid'), 'account_locked', 'account_locked']);
      const right = totp(app.code(clock.wallMs()));
      assert.equal(await verify(rooms, await firstStep(rooms, email), right), 'account_locked');
      const command = { ...owner, amr: ['pwd'], proof: right };
      const again = await rooms.core.reauthenticate.verify(command);
      assert.equal(again.kind === 'refused' && again.code, 'account_locked');
      // The owner is told of the lock once, and it ends.
      const { events } = await rooms.core.audit.list({ type: 'authn_mfa' }, { limit: 100 });
      assert.equal(events.filter(({ detail }) => detail['reason'] === 'locked_now').length, 1);
      await elapse(db, 901);
      assert.equal(await verify(rooms, await firstStep(rooms, email), right), 'logged_in');
    }));

  test('LCK-04 LCK-06 a right password and a recovery code leave the counter of wrong codes, a right code clears it', () =>
    withRooms(async (rooms, clock) => {
      const { email, app, codes } = await enrol(rooms, clock);
      const miss = async (count: number): Promise<void> => {
        for (let at = 0; at < count; at += 1) {
          const token = await firstStep(rooms, email);
          assert.equal(await verify(rooms, token, totp(app.wrong(clock.wallMs()))), 'mfa_invalid');
        }
      };
      await miss(9);
      assert.equal(await verify(rooms, await firstStep(rooms, email), totp(app.code(clock.wallMs()))), 'logged_in');
      await miss(9);
      assert.equal(await verify(rooms, await firstStep(rooms, email), recovery(codes[0] ?? '')), 'logged_in');
      await miss(1);
      const right = totp(app.code(clock.wallMs(), 1));
      assert.equal(await verify(rooms, await firstStep(rooms, email), right), 'account_locked');
    }));

  test('the counter of wrong codes outlasts a sweep of the lockouts, however short those are', () =>
    withRooms(
      async (rooms, clock, db) => {
        const { email, app } = await enrol(rooms, clock);
        for (let at = 0; at < 9; at += 1) {
          await verify(rooms, await firstStep(rooms, email), totp(app.wrong(clock.wallMs())));
        }
        await elapse(db, 120);
        await rooms.core.lockout.sweep();
        await verify(rooms, await firstStep(rooms, email), totp(app.wrong(clock.wallMs())));
        const right = totp(app.code(clock.wallMs()));
        assert.equal(await verify(rooms, await firstStep(rooms, email), right), 'account_locked');
      },
      { variables: { LOCKOUT_DURATION: '60' } },
    ));

  test('LCK-03 MFA-03 a hundred wrong codes in a row, over any time, end an app until it is replaced; other factors go on', () =>
    withRooms(async (rooms, clock, db) => {
      const { email, app, codes, owner } = await enrol(rooms, clock);
      const tryCode = async (code: string): Promise<string> => verify(rooms, await firstStep(rooms, email), totp(code));
      await db.execute('update totp_factors set failures = 98');
      assert.equal(await tryCode(app.wrong(clock.wallMs())), 'mfa_invalid');
      assert.equal(await tryCode(app.code(clock.wallMs())), 'logged_in');
      await db.execute('update totp_factors set failures = failures + 99');
      assert.equal(await tryCode(app.wrong(clock.wallMs())), 'mfa_invalid');
      assert.equal(await tryCode(app.code(clock.wallMs(), 1)), 'mfa_invalid');
      const described = await rooms.core.mfa.enrolment.describe(owner.userId);
      assert.ok(described.kind === 'done');
      assert.deepEqual([described.value.enabled, described.value.methods], [true, ['recovery_code']]);
      assert.equal(await verify(rooms, await firstStep(rooms, email), recovery(codes[0] ?? '')), 'logged_in');
      // The recovery code has ended the session of before, and begun another.
      const [now] = await rooms.core.sessions.list(owner.userId);
      const renewed = { ...owner, sessionId: now?.id ?? '' };
      const begun = await rooms.core.mfa.enrolment.beginTotp(renewed);
      assert.ok(begun.kind === 'done');
      const next = scan(begun.value.otpauth_uri);
      const confirmed = await rooms.core.mfa.enrolment.confirmTotp(renewed, next.code(clock.wallMs()));
      assert.equal(confirmed.kind, 'done');
      assert.equal(await tryCode(next.code(clock.wallMs(), 1)), 'logged_in');
    }));

  test('MFA-05 five wrong codes end a challenge, at once too; it serves once and five minutes', () =>
    withRooms(async (rooms, clock, db) => {
      const { email, app } = await enrol(rooms, clock);
      const tried = await firstStep(rooms, email);
      const wrong = await times(8, () => verify(rooms, tried, totp(app.wrong(clock.wallMs()))));
      assert.deepEqual(wrong.toSorted(), [...Array(5).fill('mfa_invalid'), ...Array(3).fill('mfa_token_invalid')]);
      assert.equal(await verify(rooms, tried, totp(app.code(clock.wallMs()))), 'mfa_token_invalid');

      const once = await firstStep(rooms, email);
      assert.equal(await verify(rooms, once, totp(app.code(clock.wallMs()))), 'logged_in');
      assert.equal(await verify(rooms, once, totp(app.code(clock.wallMs(), 1))), 'mfa_token_invalid');

      const old = await firstStep(rooms, email);
      await db.execute(`update mfa_challenges set expires_at = expires_at - interval '299 seconds'`);
      assert.equal(await verify(rooms, old, totp(app.wrong(clock.wallMs()))), 'mfa_invalid');
      await db.execute(`update mfa_challenges set expires_at = expires_at - interval '1 second'`);
      assert.equal(await verify(rooms, old, totp(app.code(clock.wallMs(), 1))), 'mfa_token_invalid');
      assert.ok((await rooms.core.mfa.sweep()) >= 1);
      assert.deepEqual(await dump(db, 'mfa_challenges where expires_at <= clock_timestamp()'), []);
    }));

  test('MFA-05 a challenge ends with what ends device tokens, and is not in the store as it was answered', () =>
    withRooms(async (rooms, clock, db) => {
      const { email, app, owner } = await enrol(rooms, clock);
      const { core } = rooms;
      const ends: Readonly<Record<string, () => Promise<unknown>>> = {
        'another password': () =>
          core.profile.changePassword(owner, { current: password, next: 'another battery staple' }),
        'revoke all': () => core.revokeAll(owner.userId, { keep: null, reason: 'logout_all', actor: 'x', origin }),
        'a removed app': () => core.mfa.enrolment.removeTotp(owner),
      };
      const tokens = new Map<string, string>();
      for (const name of Object.keys(ends)) tokens.set(name, await firstStep(rooms, email));
      for (const token of tokens.values()) assert.ok(!JSON.stringify(await dump(db, 'mfa_challenges')).includes(token));
      for (const [name, end] of Object.entries(ends)) {
        await db.execute('update totp_factors set last_step = 0');
        await end();
        assert.equal(
          await verify(rooms, tokens.get(name) ?? '', totp(app.code(clock.wallMs()))),
          'mfa_token_invalid',
          name,
        );
      }
    }));

  test('MFA-07 an app counts after one right code; one that waits too long is swept', () =>
    withRooms(async (rooms, clock, db) => {
      const { email, user, session_id: sessionId } = await register(rooms.core);
      const owner = { userId: user.id, sessionId, acr: 'aal1', origin };
      const { enrolment } = rooms.core.mfa;
      const begun = await enrolment.beginTotp(owner);
      assert.ok(begun.kind === 'done');
      assert.equal(Buffer.from(base32(begun.value.secret)).length * 8, 160);
      const logged = await rooms.core.login({ email, password, deviceToken: undefined, origin });
      assert.equal(logged.kind, 'logged_in');
      const app = scan(begun.value.otpauth_uri);
      const wrong = await enrolment.confirmTotp(owner, app.wrong(clock.wallMs()));
      assert.equal(wrong.kind === 'refused' && wrong.code, 'mfa_invalid');
      await db.execute(`update totp_factors set expires_at = expires_at - interval '600 seconds'`);
      const late = await enrolment.confirmTotp(owner, app.code(clock.wallMs()));
      assert.equal(late.kind === 'refused' && late.code, 'conflict');
      assert.equal(await rooms.core.mfa.sweep(), 1);
      assert.deepEqual(await dump(db, 'totp_factors'), []);
    }));

  test('of sixteen confirmations of one app at once one is made', () =>
    withRooms(async (rooms, clock) => {
      const { user, session_id: sessionId } = await register(rooms.core);
      const owner = { userId: user.id, sessionId, acr: 'aal1', origin };
      const begun = await rooms.core.mfa.enrolment.beginTotp(owner);
      assert.ok(begun.kind === 'done');
      const code = scan(begun.value.otpauth_uri).code(clock.wallMs());
      const outcomes = await times(16, () => rooms.core.mfa.enrolment.confirmTotp(owner, code));
      assert.equal(outcomes.filter(({ kind }) => kind === 'done').length, 1);
    }));

  test('MFA-09 secrets are sealed for their row: equal ones differ, swapped ones open nowhere', () =>
    withRooms(async (rooms, clock, db) => {
      const [mine, other] = [await enrol(rooms, clock), await enrol(rooms, clock)];
      const sealed = await dump(db, 'totp_factors');
      assert.equal(sealed.length, 2);
      await db.execute(`update totp_factors t set secret = o.secret from totp_factors o where o.id <> t.id`);
      for (const { email, app } of [mine, other, { ...mine, app: other.app }]) {
        const token = await firstStep(rooms, email);
        assert.equal(await verify(rooms, token, totp(app.code(clock.wallMs()))), 'mfa_invalid');
      }
    }));

  test('MFA-09 a secret that the previous root secret sealed opens, and is sealed anew by its use', () =>
    withRooms(async (rooms, clock, db) => {
      const { email, app } = await enrol(rooms, clock);
      const next = 'another-root-secret-of-the-tests-1b2c3d4e5f';
      const rotated = await openRooms(db, {
        rootSecret: next,
        clock,
        variables: { JWT_SECRET: next, JWT_SECRET_PREVIOUS: rootSecret },
      });
      assert.equal(await verify(rotated, await firstStep(rotated, email), totp(app.code(clock.wallMs()))), 'logged_in');
      await rotated.stop();
      await db.execute('delete from signing_keys');
      const after = await openRooms(db, { rootSecret: next, clock });
      const code = app.code(clock.wallMs(), 1);
      assert.equal(await verify(after, await firstStep(after, email), totp(code)), 'logged_in');
      await after.stop();
    }));

  test('MFA-09 apps that nobody uses are sealed anew, too, and open when the previous root secret is gone', () =>
    withRooms(async (rooms, clock, db) => {
      const used = [await enrol(rooms, clock), await enrol(rooms, clock)];
      assert.equal(await rooms.core.mfa.reseal(), 0);
      const next = 'another-root-secret-of-the-tests-1b2c3d4e5f';
      const variables = { JWT_SECRET: next, JWT_SECRET_PREVIOUS: rootSecret };
      const rotated = await openRooms(db, { rootSecret: next, clock, variables });
      assert.deepEqual([await rotated.core.mfa.reseal(), await rotated.core.mfa.reseal()], [2, 0]);
      await rotated.stop();
      await db.execute('delete from signing_keys');
      const after = await openRooms(db, { rootSecret: next, clock });
      for (const { email, app } of used) {
        const code = totp(app.code(clock.wallMs(), 1));
        assert.equal(await verify(after, await firstStep(after, email), code), 'logged_in');
      }
      await after.stop();
    }));

  test('SES-01 SES-07 a step-up begins one session in the place of one, however often at once', () =>
    withRooms(async (rooms, clock) => {
      const { app, owner } = await enrol(rooms, clock);
      const code = app.code(clock.wallMs());
      const command = { ...owner, amr: ['pwd'], proof: totp(code) };
      const outcomes = await times(8, () => rooms.core.reauthenticate.verify(command));
      assert.equal(outcomes.filter(({ kind }) => kind === 'logged_in').length, 1);
      const sessions = await rooms.core.sessions.list(owner.userId);
      assert.equal(sessions.length, 1);
      assert.notEqual(sessions[0]?.id, owner.sessionId);
      assert.deepEqual(sessions[0]?.amr, ['pwd', 'otp', 'mfa']);
    }));

  test('half a login of an account with a second factor is none: its time of the last login stays', () =>
    withRooms(async (rooms, clock, db) => {
      const { email, app } = await enrol(rooms, clock);
      const when = async (): Promise<unknown> => (await dump(db, 'users'))[0]?.['last_login_at'];
      const before = await when();
      const token = await firstStep(rooms, email);
      assert.deepEqual(await when(), before);
      assert.equal(await verify(rooms, token, totp(app.code(clock.wallMs()))), 'logged_in');
      assert.notDeepEqual(await when(), before);
    }));

  test('MFA-06 REV-02 a session that ended while its request was under way changes no factor', () =>
    withRooms(async ({ core }, clock) => {
      const { user, email, session_id: sessionId } = await register(core);
      const thief = { userId: user.id, sessionId, acr: 'aal1', origin };
      const begun = await core.mfa.enrolment.beginTotp(thief);
      assert.ok(begun.kind === 'done');
      const app = scan(begun.value.otpauth_uri);
      const kept = await login(core, email);
      const passwords = { current: password, next: 'a better staple altogether' };
      const by = { userId: user.id, sessionId: kept.session_id, origin };
      assert.equal((await core.profile.changePassword(by, passwords)).kind, 'done');
      const confirmed = await core.mfa.enrolment.confirmTotp(thief, app.code(clock.wallMs()));
      assert.equal(codeOf(confirmed), 'token_revoked');
      assert.equal(codeOf(await core.mfa.enrolment.beginTotp(thief)), 'token_revoked');
    }));
});

/** Lets time pass for the counters, as the statements see it. */
const elapse = (db: Database, seconds: number): Promise<void> =>
  db.execute(`update lockouts set updated_at = updated_at - interval '${seconds} seconds',
                                  locked_until = locked_until - interval '${seconds} seconds'`);

function dump(db: Database, from: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return db
    .run(
      {
        name: `test_dump_${from.length}_${from.replaceAll(/\W/g, '').slice(0, 20)}`,
        text: `select to_jsonb(t) as row from (select * from ${from}) t`,
      },
      [],
    )
    .then((rows) => (rows as readonly { row: Record<string, unknown> }[]).map(({ row }) => row));
}

function base32(text: string): Uint8Array {
  const bits = [...text].map((letter) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'),
  );
  const bytes = bits.join('').match(/.{8}/g) ?? [];
  return Uint8Array.from(bytes, (byte) => Number.parseInt(byte, 2));
}
