import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSecrets } from './secrets.ts';

const secret = 'Corr3ct/Horse+Batt ery?';

test('a secret is found as it is and in every encoding, wherever it stands in what was encoded', () => {
  const secrets = createSecrets();
  secrets.add(secret);
  const within = [0, 1, 2, 3].map((offset) => `${'x'.repeat(offset)}${secret} and more`);
  const spellings = [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('hex'),
    Buffer.from(secret).toString('hex').toUpperCase(),
    JSON.stringify({ deep: secret }),
    ...within.map((text) => Buffer.from(text).toString('base64')),
    ...within.map((text) => Buffer.from(text).toString('base64url')),
  ];
  for (const spelling of spellings) {
    assert.notDeepEqual(secrets.findIn(`before ${spelling} after`), [], spelling);
    assert.throws(() => secrets.assertAbsentFrom(`{"msg":"${spelling}"}`, 'this'));
  }
  assert.deepEqual(secrets.findIn(`before ${secret.slice(0, -1)} after ${[...secret].reverse().join('')}`), []);
  for (const found of secrets.findIn(secret)) assert.ok(!found.includes(secret), 'what is found is not told again');
});

test('the end of a long token gives it away too; plain words are no secrets', () => {
  const secrets = createSecrets();
  const token = `eyJ.${Array.from({ length: 90 }, (_, at) => (at * 7919).toString(36)).join('')}`;
  secrets.add(token);
  assert.notDeepEqual(secrets.findIn(`…${token.slice(-45)}`), []);
  secrets.add('password');
  secrets.add('aaaaaaaaaaaaaaaaaaaa');
  assert.equal(secrets.size, 1);
});
