import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publicUrlFindings } from './doctor-public-url.ts';

test('doctor warns of a public address in the clear, and of one that no passkey can be bound to', () => {
  const checks = (url: string): readonly string[] => publicUrlFindings(url).map(({ check }) => check);
  assert.deepEqual(checks('https://auth.example.org'), []);
  assert.deepEqual(checks('http://localhost:4000'), []);
  assert.deepEqual(checks('http://auth.example.org'), ['public URL']);
  assert.deepEqual(checks('http://127.0.0.1:4000'), ['passkeys']);
  assert.deepEqual(checks('http://[::1]:4000'), ['passkeys']);
  assert.deepEqual(checks('https://192.0.2.1'), ['passkeys']);
  assert.deepEqual(checks('http://192.0.2.1'), ['public URL', 'passkeys']);
  assert.ok(publicUrlFindings('http://192.0.2.1').every(({ status }) => status === 'warning'));
});
