/** Imports of accounts: nothing is overwritten, nothing is done twice, and every line is told. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  commandLine,
  type ImportOptions,
  type ImportSource,
  type RefusedLine,
} from '../../packages/server/src/administration/index.ts';
import type { Core } from '../../packages/server/src/core.ts';
import { one, statement } from '../../packages/server/src/platform/database/index.ts';
import { forEachStore } from '../support/stores.ts';
import { login, openRooms, origin, register } from './rooms.ts';

/** Of the password of `rooms.ts`, at cost 8. */
const bcrypt8 = '$2b$08$CCCCCCCCCCCCCCCCCCCCC.h64nqcIBQ375U.jLSUnP6OTVppe393K';
const weak = '$2b$04$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWny';

const findUsers = statement<[], { readonly users: number; readonly keys: number }>(
  'test.import_users',
  'select count(*) as users, count(distinct email_key) as keys from users',
);

function sourceOf(
  text: string,
  format: ImportSource['format'] = 'ndjson',
  failAfter = Number.POSITIVE_INFINITY,
): ImportSource {
  const octets = Buffer.from(text);
  async function* open(from: number): AsyncGenerator<Uint8Array> {
    for (let at = from; at < octets.length; at += 1_000) {
      if (at > failAfter) throw new Error('the reading broke off');
      yield octets.subarray(at, at + 1_000);
    }
  }
  return { digest: createHash('sha256').update(octets).digest('hex'), bytes: octets.length, format, open };
}

async function importing(core: Core, source: ImportSource, options: Partial<ImportOptions> = {}) {
  const refused: RefusedLine[] = [];
  const resumed: number[] = [];
  const outcome = await core.importUsers({
    source,
    by: commandLine,
    onResume: (lines) => resumed.push(lines),
    onRefused: (lines) => refused.push(...lines),
    ...options,
  });
  return { outcome, refused, resumed };
}

const address = (at: number): string => `user${at}@example.org`;
const lines = (count: number, line: (at: number) => object = (at) => ({ email: address(at) })): string =>
  Array.from({ length: count }, (_, at) => `${JSON.stringify(line(at))}\n`).join('');
const summary = (created: number, refused: number, more: object = {}) => ({
  kind: 'done',
  value: { created, refused, wasDone: false, foreignHashes: 0, ...more },
});

forEachStore('importing accounts', (makeDatabase) => {
  test('PWD-09 each line is an account or a refusal that says why and repeats nothing of it', async () => {
    const { core, stop } = await openRooms(await makeDatabase());
    await register(core, 'taken@example.org');
    const given: readonly (readonly [string | object, string | null])[] = [
      [
        { email: 'a@example.org', password_hash: bcrypt8, first_name: 'Ada', roles: ['admin'], email_verified: true },
        null,
      ],
      [{ email: 'TAKEN@example.org', first_name: 'Mallory' }, 'address_taken'],
      [{ email: 'b@example.org', password_hash: weak }, 'hash_too_weak'],
      [
        { email: 'b@example.org', password_hash: '$2b$31$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWny' },
        'hash_too_costly',
      ],
      [{ email: 'b@example.org', password_hash: '$1$salt$digest' }, 'hash_unknown_format'],
      [{ email: 'b@example.org', password: 'in the clear' }, 'unknown_field'],
      [{ email: 'b@example.org', permissions: ['*:*'] }, 'unknown_field'],
      [{ email: 'nonsense' }, 'invalid_email'],
      [{}, 'invalid_email'],
      [{ email: 'b@example.org', roles: ['nobody'] }, 'unknown_role'],
      [{ email: 'b@example.org', roles: 7 }, 'invalid_roles'],
      [{ email: 'b@example.org', first_name: 'a\u0000b' }, 'invalid_name'],
      [{ email: 'b@example.org', disabled: 'perhaps' }, 'invalid_flag'],
      [{ email: 'b@example.org', created_at: 'yesterday' }, 'invalid_time'],
      ['{"email":"b@example.org"', 'malformed'],
      ['["b@example.org"]', 'malformed'],
      ['', null],
      [{ email: 'c@example.org', disabled: true, created_at: '2020-01-02T03:04:05Z', password_hash: '!x' }, null],
      [{ email: 'C@EXAMPLE.org' }, 'address_taken'],
    ];
    const text = given.map(([line]) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
    const { outcome, refused } = await importing(core, sourceOf(text));
    const wanted = given.flatMap(([, code], at) => (code === null ? [] : [[at + 1, code]]));
    assert.deepEqual(
      refused.map(({ line, code }) => [line, code]),
      wanted,
    );
    assert.ok(!JSON.stringify(refused).includes('example.org'), 'no refusal repeats an address');
    assert.deepEqual(outcome, summary(2, wanted.length, { foreignHashes: 1 }));

    const [ada, c, old] = await Promise.all(
      ['a@example.org', 'c@example.org', 'taken@example.org'].map(core.users.find),
    );
    assert.deepEqual(
      [ada?.roles, ada?.permissions, ada?.email_verified, ada?.first_name],
      [['admin', 'user'], ['*:*'], true, 'Ada'],
    );
    assert.deepEqual(
      [c?.status, c?.password_hash, c?.created_at.toISOString()],
      ['disabled', null, '2020-01-02T03:04:05.000Z'],
    );
    assert.equal(old?.first_name, null, 'an account that exists is not touched');
    await stop();
  });

  test('PWD-09 an imported hash logs in, is renewed by that, and logs in again', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { name: 'a' });
    await importing(core, sourceOf(JSON.stringify({ email: address(1), password_hash: bcrypt8 })));
    const wrong = await core.login({ email: address(1), password: 'wrong', deviceToken: undefined, origin });
    assert.equal(wrong.kind, 'refused');
    assert.equal((await core.users.find(address(1)))?.password_hash, bcrypt8);
    await login(core, address(1));
    assert.match((await core.users.find(address(1)))?.password_hash ?? '', /^\$bcrypt-sha256\$/);
    await login(core, address(1));
    await stop();
  });

  test('PWD-09 of four logins at once that renew an imported hash all are let in', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const { email } = await register(core);
    await db.execute(`update users set password_hash = '${bcrypt8}' where email = '${email}'`);
    const attempts = Array.from({ length: 4 }, () => login(core, email));
    assert.equal(new Set((await Promise.all(attempts)).map((tokens) => tokens.session_id)).size, 4);
    await stop();
  });

  test('an import that broke off goes on where it stood; one that ran through does nothing again', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const count = 2_500;
    const text = lines(count, (at) => ({ email: at % 100 === 7 ? 'nonsense' : address(at) }));
    const wanted = Array.from({ length: count }, (_, at) => at)
      .filter((at) => at % 100 === 7)
      .map((at) => at + 1);
    const told = new Map<number, string>();
    let starts: number[] = [];
    for (const failAfter of [text.length / 3, text.length / 1.5, Number.POSITIVE_INFINITY]) {
      const run = importing(core, sourceOf(text, 'ndjson', failAfter), {
        onResume: (done, lastRefused) => {
          starts = [...starts, done];
          for (const line of told.keys()) if (line > done) told.delete(line);
          for (const { line, code } of lastRefused) told.set(line, code);
        },
        onRefused: (refused) => {
          for (const { line, code } of refused) told.set(line, code);
        },
      });
      if (failAfter < text.length) await assert.rejects(run, /broke off/);
      else assert.deepEqual((await run).outcome, summary(count - wanted.length, wanted.length));
    }
    assert.equal(starts[0], 0);
    assert.ok((starts[1] ?? 0) >= 500 && (starts[2] ?? 0) > (starts[1] ?? 0), `went on from ${starts}`);
    assert.deepEqual([...told.keys()], wanted);
    assert.deepEqual(await one(db, findUsers, []), { users: count - wanted.length, keys: count - wanted.length });
    const again = await importing(core, sourceOf(text));
    assert.deepEqual(again.outcome, summary(count - wanted.length, wanted.length, { wasDone: true }));
    const anew = await importing(core, sourceOf(text), { restart: true });
    assert.deepEqual(anew.outcome, summary(0, count), 'from the first line on every address is taken');
    await stop();
  });

  test('two imports of one file at once make each account once', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    const text = lines(3_000);
    const runs = await Promise.all(Array.from({ length: 3 }, () => importing(core, sourceOf(text))));
    assert.deepEqual(await one(db, findUsers, []), { users: 3_000, keys: 3_000 });
    for (const { outcome, refused } of runs) {
      assert.deepEqual(refused, []);
      if (outcome.kind === 'refused') assert.match(outcome.detail, /at work/);
    }
    const last = await importing(core, sourceOf(text));
    assert.ok(last.outcome.kind === 'done' && last.outcome.value.created === 3_000);
    await stop();
  });

  test('a rehearsal tells what the import then does, and changes nothing', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    await register(core, address(5));
    const text = lines(1_200, (at) => ({ email: address(at % 900), roles: at % 50 === 3 ? ['nobody'] : [] }));
    const rehearsal = await importing(core, sourceOf(text), { rehearse: true });
    assert.equal((await one(db, findUsers, []))?.users, 1);
    assert.equal((await core.audit.list({}, { limit: 10 })).events.length, 1);
    const real = await importing(core, sourceOf(text));
    assert.deepEqual(real.refused, rehearsal.refused);
    assert.deepEqual(real.outcome, rehearsal.outcome);
    await stop();
  });

  test('CSV: columns by their header in any order, quotes, line ends in fields, empty cells', async () => {
    const { core, stop } = await openRooms(await makeDatabase());
    const text = `\ufeffroles,email,first_name,password_hash,email_verified\r\nadmin user,a@example.org,"Ada ""A"", Countess",${bcrypt8},true\r\n,b@example.org,,,\r\n,c@example.org,"line\nend",,\r\n,d@example.org\r\n`;
    const { outcome, refused } = await importing(core, sourceOf(text, 'csv'));
    assert.deepEqual(
      refused.map(({ line, code }) => [line, code]),
      [
        [4, 'invalid_name'],
        [6, 'malformed'],
      ],
    );
    assert.deepEqual(outcome, summary(2, 2, { foreignHashes: 1 }));
    const [ada, b] = await Promise.all(['a@example.org', 'b@example.org'].map(core.users.find));
    assert.deepEqual([ada?.first_name, ada?.roles], ['Ada "A", Countess', ['admin', 'user']]);
    assert.deepEqual([b?.first_name, b?.roles, b?.password_hash], [null, ['user'], null]);
    for (const header of ['email,email\n', 'mail\n', 'email,permissions\n', ''])
      assert.equal((await importing(core, sourceOf(header, 'csv'))).outcome.kind, 'refused', header);
    await stop();
  });

  test('LOG-02 an import leaves one event for each account, and one for its start and its end', async () => {
    const { core, stop } = await openRooms(await makeDatabase());
    const source = sourceOf(lines(3));
    await importing(core, source);
    await importing(core, source);
    const { events } = await core.audit.list({}, { limit: 20 });
    assert.deepEqual(events.map(({ type }) => type).toReversed(), [
      'users.import_started',
      ...Array.from({ length: 3 }, () => 'user.imported'),
      'users.import_finished',
    ]);
    for (let at = 0; at < 3; at += 1) {
      const user = await core.users.find(address(at));
      assert.ok(events.some((event) => event.target === user?.id && event.detail['import'] === source.digest));
    }
    assert.equal((await core.audit.verify()).valid, true);
    await stop();
  });
});
