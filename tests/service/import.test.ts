/** What an operator brings in and takes out: accounts from a file, a person's data, the audit log; by the commands as they are typed. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertProblem, tokensOf } from '../support/http.ts';
import type { RunningService } from '../support/service.ts';
import { login, newEmail, newPassword, onEachStore, register, validate } from './support/suite.ts';

/** Of the password `correct horse battery`. */
const password = 'correct horse battery';
const hash = '$2b$08$CCCCCCCCCCCCCCCCCCCCC.h64nqcIBQ375U.jLSUnP6OTVppe393K';

const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

async function adminOf(service: RunningService): Promise<string> {
  const user = { email: newEmail('admin'), password: newPassword() };
  service.secrets.add(user.password);
  const made = await service.cli(['users', 'create', user.email, '--role', 'admin', '--password-file', '-'], {
    input: user.password,
  });
  assert.equal(made.code, 0, made.stderr);
  return tokensOf(await login(service, user)).access_token;
}

onEachStore('what operators bring in and take out', (service) => {
  test('PWD-09 a file of accounts is imported beside the running service; its users log in; a second run does nothing', async () => {
    const emails = Array.from({ length: 700 }, () => newEmail('imported'));
    const text = emails.map((email) => `${JSON.stringify({ email, password_hash: hash })}\n`).join('');
    // By a name that the working directory of who types completes.
    writeFileSync(join(service().dataDir, 'people.ndjson'), `${text}not json\n`);
    const rehearsal = await service().cli(['users', 'import', 'people.ndjson', '--dry-run', '--json']);
    assert.deepEqual([rehearsal.code, JSON.parse(rehearsal.stdout).created], [1, 700], rehearsal.stderr);
    assertProblem(await login(service(), { email: emails[0] ?? '', password }), 401, 'invalid_credentials');
    const done = await service().cli(['users', 'import', 'people.ndjson']);
    assert.equal(done.code, 1, done.stderr);
    assert.match(done.stdout, /700 accounts created, 1 lines refused/);
    assert.match(done.stdout, /700 accounts have a hash of another kind/);
    const report = linesOf(readFileSync(join(service().dataDir, 'people.ndjson.refused.ndjson'), 'utf8'));
    assert.deepEqual(
      report.map(({ line, code }) => [line, code]),
      [[701, 'malformed']],
    );
    for (const at of [0, 699]) tokensOf(await login(service(), { email: emails[at] ?? '', password }));
    const again = await service().cli(['users', 'import', 'people.ndjson', '--json']);
    assert.deepEqual(JSON.parse(again.stdout), {
      ...JSON.parse(again.stdout),
      was_done: true,
      created: 700,
      refused: 1,
    });
    assert.equal((await service().cli(['users', 'import', 'nothing.ndjson'])).code, 1);
    assert.equal((await service().cli(['users', 'import', 'people.ndjson', '--format', 'xml'])).code, 2);
    assert.ok(!existsSync(join(service().dataDir, 'nothing.ndjson')));
  });

  test('AZ-03 LOG-02 owners and operators export what is kept about an account, and that is an event', async () => {
    const account = await register(service());
    const { access_token: token, user } = account.tokens;
    const mine = await service().api.get('/api/auth/me/export', { token });
    assert.equal(mine.status, 200);
    assert.match(mine.headers['content-type'] ?? '', /application\/x-ndjson/);
    assert.equal(mine.headers['cache-control'], 'no-store');
    const lines = linesOf(mine.text);
    assert.deepEqual([lines[0]?.['kind'], lines[0]?.['email']], ['account', account.email]);
    assert.ok(lines.some((line) => line['kind'] === 'session' && line['id'] === account.tokens.session_id));
    assert.ok(lines.some((line) => line['kind'] === 'audit_event' && line['type'] === 'user.registered'));
    assert.ok(!/password_hash|\$bcrypt/.test(mine.text));
    const other = await register(service());
    assert.ok(!mine.text.includes(other.email));
    assertProblem(await service().api.get('/api/auth/me/export'), 401, 'missing_token');

    const admin = await adminOf(service());
    const path = `/api/admin/users/${user.id}/export`;
    assertProblem(await service().api.get(path, { token: other.tokens.access_token }), 403, 'insufficient_permissions');
    const theirs = linesOf((await service().api.get(path, { token: admin })).text);
    assert.equal(theirs.filter((line) => line['type'] === 'user.exported').length, 2);
    assert.ok(theirs.every((line) => line['type'] !== 'user.exported' || line['actor'] === user.id || !('ip' in line)));
    assertProblem(
      await service().api.get(`/api/admin/users/${randomUUID()}/export`, { token: admin }),
      404,
      'not_found',
    );
    const typed = await service().cli(['users', 'export', account.email]);
    assert.equal(typed.code, 0, typed.stderr);
    assert.equal(linesOf(typed.stdout)[0]?.['id'], user.id);
  });

  test('LOG-04 an account that is erased leaves its events, which name nobody any more, and a whole chain', async () => {
    const account = await register(service());
    const { user, access_token: token } = account.tokens;
    const kept = await service().cli(['audit', 'anchor']);
    assert.equal(kept.code, 0, kept.stderr);
    writeFileSync(join(service().dataDir, 'anchors.ndjson'), kept.stdout);
    const erased = await service().cli(['users', 'erase', account.email]);
    assert.equal(erased.code, 0, erased.stderr);
    assert.equal((await validate(service(), token)).valid, false);
    assertProblem(await login(service(), account), 401, 'invalid_credentials');
    assert.equal((await service().cli(['users', 'export', user.id])).code, 1);
    const verified = await service().cli(['audit', 'verify', '--anchors', 'anchors.ndjson', '--json']);
    assert.deepEqual([verified.code, JSON.parse(verified.stdout).valid], [0, true], verified.stderr);

    const exported = await service().cli(['audit', 'export', '--about', user.id]);
    const events = linesOf(exported.stdout);
    assert.deepEqual(
      events.map(({ type }) => type).filter((type) => type !== 'authn_login'),
      ['user.registered', 'user.deleted'],
    );
    const all = await service().cli(['audit', 'export']);
    assert.ok(!all.stdout.includes(account.email), 'no event holds an address');
    const admin = await adminOf(service());
    const streamed = await service().api.get(`/api/admin/audit-events/export?target=${user.id}`, { token: admin });
    assert.deepEqual(
      linesOf(streamed.text).map(({ id, hash: link }) => [id, link]),
      events.filter((event) => event['target'] === user.id).map(({ id, hash: link }) => [id, link]),
    );
    assert.equal((await service().cli(['audit', 'verify', '--anchors', 'people.ndjson'])).code, 2);
  });
});
