import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { codeOf, hashOfCode, hashOfSecret } from './code.rule.ts';

const secrets = fc.uint8Array({ minLength: 10, maxLength: 10 });

test('a code reads back to the secret that it was made of, however it is typed', () => {
  fc.assert(
    fc.property(secrets, (secret) => {
      const code = codeOf(secret);
      assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
      const hash = hashOfSecret(secret);
      const typed = [
        code,
        code.toLowerCase(),
        code.replaceAll('-', ''),
        ` ${code.replaceAll('-', ' ')} `,
        code.replaceAll('0', 'o').replaceAll('1', 'l'),
      ];
      for (const text of typed) assert.deepEqual(hashOfCode(text), hash, text);
    }),
  );
});

test('what cannot be a code is none', () => {
  for (const text of [
    '',
    'ABCD-EFGH-JKMN-PQR',
    'ABCD-EFGH-JKMN-PQRSS',
    'ABCD-EFGH-JKMN-PQRU',
    'Ａ'.repeat(16),
    'A'.repeat(65),
  ]) {
    assert.equal(hashOfCode(text), undefined, text);
  }
});
