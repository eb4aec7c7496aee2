/** Passkeys from the inside: races, times, what is written beside them, and the port of second factors. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { AssertionResponse, AttestationResponse } from '../../packages/protocol/src/index.ts';
import type { Core } from '../../packages/server/src/core.ts';
import type { FactorOwner } from '../../packages/server/src/mfa/index.ts';
import { createCeremonies, createWebauthnFactor } from '../../packages/server/src/passkeys/index.ts';
import { type Database, type Statement, statement } from '../../packages/server/src/platform/database/index.ts';
import { type Authenticator, createAuthenticator } from '../support/authenticator.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms, origin, register } from './rooms.ts';

const publicUrl = 'http://auth.test';
const rootSecret = randomBytes(32).toString('base64');
const ask = <R>(db: Database, text: string, params: readonly unknown[] = []): Promise<readonly R[]> =>
  db.run({ name: '', text } as Statement<readonly unknown[], R>, params);
const countChallenges = statement<[], { challenges: number }>(
  'test.challenges',
  'select count(*) as challenges from webauthn_challenges',
);

const newAuthenticator = (): Authenticator => createAuthenticator({ origin: publicUrl });

const holderOf = (
  tokens: { readonly user: { readonly id: string }; readonly session_id: string },
  acr = 'aal2',
): FactorOwner => ({
  userId: tokens.user.id,
  sessionId: tokens.session_id,
  acr,
  origin,
});

async function add(core: Core, holder: FactorOwner, authenticator = newAuthenticator()) {
  const options = await core.passkeys.creationOptions(holder);
  assert.ok(options.kind === 'done');
  const response = authenticator.create(options.value) as AttestationResponse;
  const added = await core.passkeys.add(holder, response, undefined);
  assert.ok(added.kind === 'done', JSON.stringify(added));
  return { authenticator, passkey: added.value };
}

const assertion = async (core: Core, authenticator: Authenticator): Promise<AssertionResponse> =>
  authenticator.get(await core.passkeyLogin.options()) as AssertionResponse;

const codeOf = (outcome: { readonly kind: string; readonly code?: string }): string => outcome.code ?? outcome.kind;

forEachStore('passkeys', (makeDatabase) => {
  test('WAK-05 the last way into an account is not removed, however many are removed at once', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const tokens = await register(core);
    const holder = holderOf(tokens);
    const passkeys = [];
    for (let at = 0; at < 4; at += 1) passkeys.push((await add(core, holder)).passkey);
    await ask(db, 'update users set password_hash = null where id = $1', [tokens.user.id]);
    const outcomes = await Promise.all(passkeys.map(({ id }) => core.passkeys.remove(holder, id)));
    assert.deepEqual(outcomes.map(codeOf).toSorted(), ['conflict', 'done', 'done', 'done']);
    const [left, ...others] = await core.passkeys.list(tokens.user.id);
    assert.ok(left !== undefined && others.length === 0);
    assert.equal(codeOf(await core.passkeys.remove(holder, left.id)), 'conflict');
    await ask(db, `update users set password_hash = 'x' where id = $1`, [tokens.user.id]);
    assert.equal(codeOf(await core.passkeys.remove(holder, left.id)), 'done');
    const [user] = await ask<{ mfa_enabled: boolean }>(db, 'select mfa_enabled from users where id = $1', [
      tokens.user.id,
    ]);
    assert.equal(user?.mfa_enabled, false);
    await stop();
  });

  test('WAK-01 a challenge is worth nothing after its time, and those that have expired go', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const { authenticator } = await add(core, holderOf(await register(core)));
    const late = await assertion(core, authenticator);
    for (let at = 0; at < 9; at += 1) await core.passkeyLogin.options();
    const [{ seconds } = { seconds: 0 }] = await ask<{ seconds: number }>(
      db,
      'select max(extract(epoch from expires_at - clock_timestamp()))::float8 as seconds from webauthn_challenges',
    );
    assert.ok(seconds > 0 && seconds <= 300, String(seconds));
    await ask(db, `update webauthn_challenges set expires_at = clock_timestamp() - interval '1 second'`);
    assert.equal(codeOf(await core.passkeyLogin.verify(late, origin)), 'webauthn_failed');
    for (let at = 0; at < 4; at += 1) await core.passkeyLogin.options();
    assert.equal((await db.run(countChallenges, []))[0]?.challenges, 4);
    assert.equal(codeOf(await core.passkeyLogin.verify(await assertion(core, authenticator), origin)), 'logged_in');
    await stop();
  });

  test('WAK-01 no challenge stands in the store', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const { challenge } = await core.passkeyLogin.options();
    const rows = await ask<{ row: string }>(db, 'select c::text as row from webauthn_challenges c');
    assert.equal(rows.length, 1);
    for (const form of [challenge, Buffer.from(challenge, 'base64url').toString('hex')]) {
      assert.ok(!rows.some(({ row }) => row.includes(form)));
    }
    await stop();
  });

  test('WAK-01 of 16 uses of one assertion on two nodes one logs in', async () => {
    const db = await makeDatabase();
    const [one, other] = [await openRooms(db, { rootSecret }), await openRooms(db, { rootSecret })];
    const { authenticator } = await add(one.core, holderOf(await register(one.core)));
    const response = await assertion(one.core, authenticator);
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, (_, at) => (at % 2 === 0 ? one : other).core.passkeyLogin.verify(response, origin)),
    );
    assert.deepEqual(
      outcomes.map(codeOf).filter((code) => code === 'logged_in'),
      ['logged_in'],
    );
    await one.stop();
    await other.stop();
  });

  test('WAK-02 of two uses with one counter at once one logs in, and the other is told of as a copy', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const { authenticator } = await add(core, holderOf(await register(core)));
    const thief = authenticator.clone();
    const responses = [await assertion(core, authenticator), await assertion(core, thief)];
    const outcomes = await Promise.all(responses.map((response) => core.passkeyLogin.verify(response, origin)));
    assert.deepEqual(outcomes.map(codeOf).toSorted(), ['logged_in', 'webauthn_failed']);
    const events = await ask(db, `select id from audit_events where type = 'authenticator_clone_suspected'`);
    assert.equal(events.length, 1);
    await stop();
  });

  test('a login under way while its passkey is removed leaves no session', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const seen = new Set<string>();
    for (let round = 0; round < 15; round += 1) {
      const tokens = await register(core);
      const holder = holderOf(tokens);
      const { authenticator, passkey } = await add(core, holder);
      const response = await assertion(core, authenticator);
      const [login, removed] = await Promise.all([
        core.passkeyLogin.verify(response, origin),
        core.passkeys.remove(holder, passkey.id),
      ]);
      assert.equal(codeOf(removed), 'done');
      seen.add(codeOf(login));
      const left = await core.sessions.list(tokens.user.id);
      assert.deepEqual(
        left.map(({ id }) => id),
        [tokens.session_id],
        `round ${round}: ${codeOf(login)}`,
      );
    }
    assert.ok(seen.size > 0);
    await stop();
  });

  test('REV-02 a removed passkey takes the device tokens with it; one that is added or renamed does not', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const tokens = await register(core);
    const holder = holderOf(tokens);
    const epochs = async () => {
      const [row] = await ask<Record<string, number>>(
        db,
        'select epoch, device_epoch, sessions_epoch from users where id = $1',
        [tokens.user.id],
      );
      return { ...row };
    };
    const before = await epochs();
    const { passkey } = await add(core, holder);
    await core.passkeys.rename(holder, passkey.id, 'Telephone');
    assert.deepEqual(await epochs(), before);
    await core.passkeys.remove(holder, passkey.id);
    assert.deepEqual(await epochs(), { ...before, device_epoch: (before['device_epoch'] ?? 0) + 1 });
    await stop();
  });

  test('ENU-01 an address that is not verified is told only after a right signature', async () => {
    const db = await makeDatabase();
    const [open, strict] = [
      await openRooms(db, { rootSecret }),
      await openRooms(db, { rootSecret, variables: { EMAIL_VERIFICATION: 'required' } }),
    ];
    const { authenticator } = await add(open.core, holderOf(await register(open.core)));
    const wrong = authenticator.get(await strict.core.passkeyLogin.options(), { flags: 0 }) as AssertionResponse;
    assert.equal(codeOf(await strict.core.passkeyLogin.verify(wrong, origin)), 'webauthn_failed');
    const right = await assertion(strict.core, authenticator);
    assert.equal(codeOf(await strict.core.passkeyLogin.verify(right, origin)), 'email_not_verified');
    await open.stop();
    await strict.stop();
  });

  test('LOG-06 the owner is told of a passkey that was added and of one that was removed', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const holder = holderOf(await register(core));
    const { passkey } = await add(core, holder);
    await core.passkeys.rename(holder, passkey.id, 'Telephone');
    await core.passkeys.remove(holder, passkey.id);
    const mails = await ask<{ kind: string }>(
      db,
      `select kind from mail_outbox where kind like 'passkey%' order by id`,
    );
    assert.deepEqual(
      mails.map(({ kind }) => kind),
      ['passkey_added', 'passkey_removed'],
    );
    const events = await ask<{ type: string; outcome: string }>(
      db,
      `select type, outcome from audit_events where type like 'passkey.%' order by id`,
    );
    assert.deepEqual(
      events.map(({ type, outcome }) => `${type} ${outcome}`),
      ['passkey.added success', 'passkey.renamed success', 'passkey.removed success'],
    );
    await stop();
  });

  test('WAK-01 as a second factor a challenge serves its purpose and its person alone, once', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const ceremonies = createCeremonies({ db, random: core.random, audit: core.audit, publicUrl });
    const factor = createWebauthnFactor({ db, ceremonies });
    const [owner, stranger] = [await register(core), await register(core)];
    const { authenticator, passkey } = await add(core, holderOf(owner));
    const { authenticator: others } = await add(core, holderOf(stranger));
    const id = owner.user.id;
    const options = async (purpose: 'second_factor' | 'reauthenticate' = 'second_factor') =>
      (await factor.options(id, purpose)) as unknown as Parameters<Authenticator['get']>[0];

    const wanted = await options();
    assert.deepEqual(
      wanted.allowCredentials.map((one) => one.id),
      [authenticator.credentialId],
    );
    const response = authenticator.get(wanted);
    assert.deepEqual(await factor.verify(id, 'reauthenticate', response), { ok: false });
    assert.deepEqual(await factor.verify(stranger.user.id, 'second_factor', response), { ok: false });
    assert.equal(codeOf(await core.passkeyLogin.verify(response as AssertionResponse, origin)), 'webauthn_failed');
    const verified = { ok: true, method: 'hwk', credentialId: passkey.id };
    assert.deepEqual(await factor.verify(id, 'second_factor', response), verified);
    assert.deepEqual(await factor.verify(id, 'second_factor', response), { ok: false });
    assert.deepEqual(
      await factor.verify(id, 'reauthenticate', authenticator.get(await options('reauthenticate'))),
      verified,
    );
    // Who is asked for need not be named by the authenticator; another is not taken.
    assert.deepEqual(
      await factor.verify(id, 'second_factor', authenticator.get(await options(), { userHandle: null })),
      verified,
    );
    assert.deepEqual(await factor.verify(id, 'second_factor', others.get(await options())), { ok: false });
    for (const junk of [null, 7, 'x', [], {}, { id: 'a' }, { ...(response as object), response: { signature: 1 } }]) {
      assert.deepEqual(await factor.verify(id, 'second_factor', junk), { ok: false });
    }
    assert.deepEqual(await factor.verify(id, 'second_factor', await assertion(core, authenticator)), { ok: false });

    assert.equal(await factor.has(db, id), true);
    assert.equal(await factor.removeAll(db, id), 1);
    assert.equal(await factor.has(db, id), false);
    assert.equal(await factor.has(db, stranger.user.id), true);
    await stop();
  });

  test('REV-02 a session that ended while its request was under way adds no passkey', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const tokens = await register(core);
    const holder = holderOf(tokens);
    const options = await core.passkeys.creationOptions(holder);
    assert.ok(options.kind === 'done');
    const response = newAuthenticator().create(options.value) as AttestationResponse;
    assert.ok((await core.sessions.end(tokens.user.id, tokens.session_id, 'revoked', origin)) !== undefined);
    assert.equal(codeOf(await core.passkeys.add(holder, response, undefined)), 'token_revoked');
    assert.deepEqual(await core.passkeys.list(tokens.user.id), []);
    await stop();
  });
});
