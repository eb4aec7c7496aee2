/** The README names every call of the client, and its figures are those of the bundle that a page loads. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as client from './index.ts';
import * as passkeys from './passkeys.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test('every call stands in the README, and what stands there exists', () => {
  const auth = client.createClient({ baseUrl: 'http://auth.test' });
  const calls = Object.keys(auth);
  assert.ok(calls.length > 25);
  const values = Object.entries(client).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));
  for (const name of [...calls.map((call) => `auth.${call}`), ...values]) {
    assert.match(readme, new RegExp(`${name.replace('.', '\\.')}\\b`), name);
  }
  for (const name of Object.keys(passkeys)) assert.match(readme, new RegExp(`passkeys\\.${name}\\(`), name);
  for (const [, name = ''] of readme.matchAll(/\bauth\.(\w+)/g)) {
    if (name !== 'example') assert.ok(calls.includes(name), name);
  }
});
