import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { argon2idParameters, dummyHash, judgeImportedHash, needsRehash, parseEncodedHash } from './encoding.rule.ts';
import { createPasswordHasher } from './password-hasher.ts';

const salt = 'E/e/2AOhqM5W/KJTFQzLce';
const digest = 'WFPIZKtDDTriqWwlmRFfHiOTeheAZWe';
const keyed = (cost: number): string => `$bcrypt-sha256$v=2,t=2b,r=${cost}$${salt}$${digest}`;
const plain = (cost: string, version = '2b'): string => `$${version}$${cost}$${salt}${digest}`;
const argon2 = (parameters: string): string => `$argon2id$v=19$${parameters}$${'A'.repeat(22)}$${'B'.repeat(42)}A`;
const owasp = 'm=19456,t=2,p=1';
const scrypt = (parameters: string): string => `$scrypt$${parameters}$${'A'.repeat(22)}$${'B'.repeat(43)}`;
const pbkdf2 = (iterations: number, hash = 'sha256'): string =>
  `$pbkdf2-${hash}$i=${iterations}$${'A'.repeat(22)}$${'B'.repeat(43)}`;

describe('encoded hashes', () => {
  test('PWD-09 known formats are read within bounds of cost, all else is unknown', () => {
    const foreign = [
      argon2(owasp),
      argon2(owasp).replace('argon2id', 'argon2i'),
      scrypt('ln=17,r=8,p=8'),
      scrypt('ln=14,r=8,p=5').replace('scrypt', 'firebase-scrypt'),
      pbkdf2(4_000_000),
      pbkdf2(1, 'sha1'),
      pbkdf2(210_000, 'sha512'),
    ];
    for (const known of [keyed(4), keyed(16), plain('10'), plain('12', '2a'), plain('12', '2y'), ...foreign]) {
      assert.notEqual(parseEncodedHash(known), undefined, known);
    }
    const unknown = [
      '',
      '$1$salt$digest',
      keyed(3),
      keyed(17),
      keyed(31),
      plain('03'),
      plain('17'),
      plain('31'),
      plain('12', '2x'),
      keyed(12).slice(0, -1),
      `${keyed(12)}\n`,
      keyed(12).replace('v=2', 'v=1'),
      keyed(12).replace('t=2b', 't=2a'),
      argon2('m=4194304,t=2,p=1'),
      argon2('m=262144,t=5,p=1'),
      argon2('m=19456,t=0,p=1'),
      argon2('m=19456,t=2,p=17'),
      argon2('m=4,t=2,p=1'),
      argon2(owasp).replace('argon2id', 'argon2d'),
      argon2(owasp).replace('v=19', 'v=16'),
      scrypt('ln=0,r=8,p=1'),
      scrypt('ln=14,r=0,p=1'),
      scrypt('ln=14,r=8,p=0'),
      scrypt('ln=31,r=8,p=1'),
      scrypt('ln=16,r=1,p=1'),
      argon2('m=019456,t=2,p=1'),
      argon2(owasp).slice(0, -1),
      `${argon2(owasp).slice(0, -1)}B`,
      scrypt('ln=19,r=8,p=1'),
      scrypt('ln=17,r=8,p=9'),
      scrypt('ln=14,r=8,p=17'),
      pbkdf2(4_000_001),
      pbkdf2(999_999_999),
      pbkdf2(100_000, 'md5'),
    ];
    for (const text of unknown) assert.equal(parseEncodedHash(text), undefined, text);
  });

  test('PWD-09 an import needs a cost that is worth something', () => {
    const verdicts = {
      fine: [
        ...[plain('10'), keyed(12), argon2(owasp), argon2('m=7168,t=5,p=1'), pbkdf2(10_000), pbkdf2(1_000_000)],
        ...[scrypt('ln=12,r=8,p=1'), scrypt('ln=14,r=8,p=1').replace('scrypt', 'firebase-scrypt')],
      ],
      too_weak: [plain('04'), argon2('m=64,t=1,p=1'), pbkdf2(9_999), scrypt('ln=11,r=8,p=1'), scrypt('ln=1,r=1,p=1')],
      too_costly: [plain('17'), plain('31'), argon2('m=4194304,t=2,p=1'), scrypt('ln=20,r=8,p=1'), pbkdf2(4_000_001)],
      unknown_format: ['$1$x$y', '', 'hunter2', plain('12', '2x'), '5f4dcc3b5aa765d61d8327deb882cf99'],
    };
    for (const [verdict, hashes] of Object.entries(verdicts))
      for (const encoded of hashes) assert.equal(judgeImportedHash(encoded), verdict, encoded);
  });

  test('PWD-09 DOS-05 what an import takes is verified without an error, in seconds at the most', async () => {
    const hasher = createPasswordHasher({ algorithm: 'bcrypt', bcryptCost: 4, workers: 1 });
    const salt = 'A'.repeat(22);
    const taken = [
      ...[13, 14, 16, 22, 23, 43, 64, 86].map(
        (length) => `$argon2id$v=19$m=4096,t=1,p=1$${'A'.repeat(length)}$${salt}`,
      ),
      ...[22, 25, 43, 86].map((length) => `$argon2i$v=19$m=4096,t=3,p=1$${salt}$${'A'.repeat(length)}`),
      ...['m=04096,t=3,p=1', 'm=4096,t=03,p=1', 'm=4096,t=3,p=01'].map(
        (costs) => `$argon2i$v=19$${costs}$${salt}$${salt}`,
      ),
      ...['ln=15,r=1,p=1', 'ln=16,r=1,p=1', 'ln=17,r=1,p=1'].map((costs) => `$scrypt$${costs}$${salt}$${salt}`),
      `$2b$08$${salt.slice(1)}z${'z'.repeat(31)}`,
    ].filter((encoded) => judgeImportedHash(encoded) === 'fine');
    assert.ok(taken.length >= 8, taken.join());
    for (const encoded of taken) {
      const verified = await hasher.verify('x', encoded);
      assert.ok(verified.kind === 'checked' && !verified.ok, encoded);
    }
    await hasher.stop();
    // Of 96 octets SHA-1 makes five blocks, and each takes all the iterations.
    assert.equal(judgeImportedHash(`$pbkdf2-sha1$i=4000000$${salt}$${'A'.repeat(128)}`), 'too_costly');
    assert.equal(judgeImportedHash(`$pbkdf2-sha1$i=1200000$${salt}$${'A'.repeat(128)}`), 'fine');
  });

  test('a hash is renewed when its algorithm is not the configured one or its cost is lower', () => {
    const renewed = (encoded: string, algorithm: 'bcrypt' | 'argon2id'): boolean => {
      const parsed = parseEncodedHash(encoded);
      assert.ok(parsed);
      return needsRehash(parsed, { algorithm, bcryptCost: 12 });
    };
    assert.equal(renewed(keyed(12), 'bcrypt'), false);
    assert.equal(renewed(keyed(13), 'bcrypt'), false);
    assert.equal(renewed(keyed(11), 'bcrypt'), true);
    assert.equal(renewed(plain('12'), 'bcrypt'), true);
    assert.equal(renewed(argon2(owasp), 'bcrypt'), true);
    assert.equal(renewed(argon2(owasp), 'argon2id'), false);
    assert.equal(renewed(argon2('m=19456,t=1,p=1'), 'argon2id'), true);
    assert.equal(renewed(argon2('m=7168,t=5,p=1'), 'argon2id'), true);
    assert.equal(renewed(keyed(12), 'argon2id'), true);
    for (const algorithm of ['bcrypt', 'argon2id'] as const)
      for (const encoded of [argon2(owasp).replace('2id', '2i'), scrypt('ln=17,r=8,p=1'), pbkdf2(1_000_000)])
        assert.equal(renewed(encoded, algorithm), true, encoded);
  });

  test("nobody's hash is well-formed and current", () => {
    for (const algorithm of ['bcrypt', 'argon2id'] as const) {
      for (const fill of [0, 77, 255]) {
        const current = { algorithm, bcryptCost: 11 };
        const parsed = parseEncodedHash(dummyHash(current, Buffer.alloc(64, fill)));
        assert.ok(parsed && !needsRehash(parsed, current));
      }
    }
    assert.equal(argon2idParameters.memoryKib, 19_456);
  });
});
