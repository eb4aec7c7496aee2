/** Hashes as other systems wrote them: made with Django 5.2, passlib 1.7.4, Python's hashlib, and Firebase's own example. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { parseEncodedHash } from './encoding.rule.ts';
import { type FirebaseParameters, readForeignHash } from './foreign.rule.ts';
import { createPasswordHasher } from './password-hasher.ts';

const password = 'lètmein é';
const keycloakSalt = Buffer.from(Array.from({ length: 16 }, (_, at) => at)).toString('base64');

const keycloak = (algorithm: string, hashIterations: number, value: string, more: object = {}): object => ({
  type: 'password',
  secretData: JSON.stringify({ value, salt: keycloakSalt, additionalParameters: {} }),
  credentialData: JSON.stringify({ hashIterations, algorithm, additionalParameters: more }),
});

const pbkdf2Sha256 = keycloak(
  'pbkdf2-sha256',
  27_500,
  'BuQUY2mebCndVutY8C0ZtRIwgUOWOnHTHeTigtsjeEkDjEuenc+9wZ23TSI9mQ4y2RVlBqnPgSB9otp1MbqUfw==',
);

const vectors: Readonly<Record<string, unknown>> = {
  'Django PBKDF2-SHA-256': 'pbkdf2_sha256$20000$seasalt1$eI8bttsJtRql5YsJw4dY0vys45zca/TpfmTHIxMsbUg=',
  'Django PBKDF2-SHA-256 at a million': 'pbkdf2_sha256$1000000$seasalt1$bKOIeTi/Xw9Q62/MPr4mB+Y6p4cZV1pVVXEGfzuxetA=',
  'Django PBKDF2-SHA-1': 'pbkdf2_sha1$20000$seasalt1$8oiux0DTVZtyT3Q9Oh6Uk6OVKT4=',
  'Django scrypt':
    'scrypt$16384$seasalt1$8$5$+iz6fKDvIR9i+JfGRGGcDOL4RslewWqgB7rVSaKi4wPkkdj1aD3oDxiOIA76UoU3w0e0/VHeSMN9BkYu9RMgig==',
  'Django argon2': 'argon2$argon2id$v=19$m=102400,t=2,p=8$c2Vhc2FsdDE$kK/W57NyZs1CRpPepdiaSaaB6QXVdOjdGT57fm2K4lk',
  'Django bcrypt': 'bcrypt$$2b$12$Kn6AJTWcHnnHSnItdkKJFuF2LYNeFLPD.hVhNJ7zV0u3OKyFnsD5q',
  'scrypt (PHC)': '$scrypt$ln=14,r=8,p=1$iTFmzLm31tobQ8j5n3OOEQ$rQvLyFHCW4J1qG/emHXnBK7GCSpHkfElYhNxoOZfwwA',
  'argon2i (PHC)': '$argon2i$v=19$m=8192,t=2,p=4$Ygyh9B6DMCbEmNOak/LeOw$ro17HsS3hI+WMThLmmgt8y/pUz9g7Q37decd7468LuU',
  'Keycloak PBKDF2-SHA-1': keycloak(
    'pbkdf2',
    20_000,
    '8hIloiXTPWD7BcBSYNuPx+OxMcMV2LfrHr0oiLqs1JZFWAei80HxpsiPEJ4OCLB2qjr2MndPEs2x+PMbMHOBMQ==',
  ),
  'Keycloak PBKDF2-SHA-256': pbkdf2Sha256,
  'Keycloak PBKDF2-SHA-256 as text': JSON.stringify(pbkdf2Sha256),
  'Keycloak PBKDF2-SHA-512': keycloak(
    'pbkdf2-sha512',
    30_000,
    'ptvK18zGO1ai4GmBqvv1oSbbIOlNomdRtOF+zM/mkLzdm5VVCxQ6NuxH2wIjVxWnNfFQFisyOQ/Q0zit7KV9Cw==',
  ),
};

/** Of the read-me of Firebase's scrypt program. */
const firebase: FirebaseParameters & { readonly hash: string; readonly salt: string; readonly password: string } = {
  signerKey: Buffer.from(
    'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==',
    'base64',
  ),
  saltSeparator: Buffer.from('Bw==', 'base64'),
  rounds: 8,
  memoryCost: 14,
  salt: '42xEC+ixf3L2lw==',
  hash: 'lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
  password: 'user1password',
};

const hasher = createPasswordHasher({ algorithm: 'bcrypt', bcryptCost: 4, workers: 2, queueLimit: 500 });
after(() => hasher.stop());

async function check(given: string, encoded: string): Promise<string> {
  const result = await hasher.verify(given, encoded);
  assert.ok(result.kind === 'checked');
  return `${result.ok ? 'right' : 'wrong'}${result.needsRehash ? ', renew' : ''}`;
}

describe('hashes of other systems', () => {
  for (const [name, given] of Object.entries(vectors)) {
    test(`PWD-09 ${name}: the right password is right and renews the hash, another is wrong`, async () => {
      const read = readForeignHash(given, undefined, undefined);
      assert.ok(read.kind === 'hash', JSON.stringify(read));
      assert.equal(await check(password, read.encoded), 'right, renew');
      assert.equal(await check(`${password}.`, read.encoded), 'wrong');
      assert.equal(await check('', read.encoded), 'wrong');
      // In whatever form the accents are typed.
      assert.equal(await check(password.normalize('NFD'), read.encoded), 'right, renew');
    });
  }

  test("PWD-09 Firebase: the account's hash is checked without the key of its project, which is kept nowhere", async () => {
    for (const urlSafe of [false, true]) {
      const hash = urlSafe ? firebase.hash.replaceAll('/', '_').replaceAll('+', '-') : firebase.hash;
      const read = readForeignHash(hash, firebase.salt, firebase);
      assert.ok(read.kind === 'hash');
      assert.equal(await check(firebase.password, read.encoded), 'right, renew');
      assert.equal(await check('user2password', read.encoded), 'wrong');
      const key = Buffer.from(firebase.signerKey).toString('base64').slice(0, 20);
      assert.ok(!read.encoded.includes(key) && !read.encoded.includes(firebase.hash.slice(0, 20)));
    }
    const otherKey = { ...firebase, signerKey: Buffer.alloc(64, 1) };
    const read = readForeignHash(firebase.hash, firebase.salt, otherKey);
    assert.ok(read.kind === 'hash');
    assert.equal(await check(firebase.password, read.encoded), 'wrong');
    assert.equal(readForeignHash(firebase.hash, firebase.salt, undefined).kind, 'refused');
    assert.equal(readForeignHash('AAAA', firebase.salt, firebase).kind, 'refused');
  });

  test('Keycloak argon2 becomes the PHC string of its parameters', () => {
    const more = { hashLength: ['32'], memory: ['7168'], type: ['id'], version: ['1.3'], parallelism: ['1'] };
    const value = Buffer.alloc(32, 7).toString('base64');
    const read = readForeignHash(keycloak('argon2', 5, value, more), undefined, undefined);
    assert.ok(read.kind === 'hash');
    assert.match(read.encoded, /^\$argon2id\$v=19\$m=7168,t=5,p=1\$AAECAwQFBgcICQoLDA0ODw\$Bwc/);
    assert.equal(parseEncodedHash(read.encoded)?.kind, 'argon2id');
  });

  test('PWD-09 what is weak, costly or unknown is refused and says which; an unusable password is none', () => {
    const refusals: readonly (readonly [unknown, string])[] = [
      ['pbkdf2_sha256$9999$salt$AAAAAAAAAAAAAAAAAAAAAA==', 'too_weak'],
      ['pbkdf2_sha256$999999999$salt$AAAAAAAAAAAAAAAAAAAAAA==', 'too_costly'],
      ['scrypt$1048576$salt$8$1$AAAAAAAAAAAAAAAAAAAAAA==', 'too_costly'],
      ['scrypt$16385$salt$8$1$AAAAAAAAAAAAAAAAAAAAAA==', 'unknown_format'],
      [keycloak('pbkdf2-sha256', 1, Buffer.alloc(64).toString('base64')), 'too_weak'],
      [keycloak('constructor', 27_500, Buffer.alloc(64).toString('base64')), 'unknown_format'],
      [keycloak('argon2', 5, Buffer.alloc(32).toString('base64'), { memory: ['7168'] }), 'unknown_format'],
      ['$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'too_weak'],
      ['$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'too_costly'],
      ['$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA', 'too_costly'],
      ['md5$salt$0123456789abcdef0123456789abcdef', 'unknown_format'],
      ['{"secretData":{}}', 'unknown_format'],
      ['{', 'unknown_format'],
      [`$2b$12$${'a'.repeat(100_000)}`, 'unknown_format'],
      [{}, 'unknown_format'],
      [[], 'unknown_format'],
      [7, 'unknown_format'],
    ];
    for (const [given, problem] of refusals)
      assert.deepEqual(
        readForeignHash(given, undefined, undefined),
        { kind: 'refused', problem },
        JSON.stringify(given),
      );
    assert.deepEqual(readForeignHash('!vCQGsJgP55zoIvtwQx6Yp', undefined, undefined), { kind: 'none' });
  });
});
