import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { createPasswordHasher, type PasswordHasher, type PasswordHasherOptions } from './password-hasher.ts';

/** Vectors of passlib 1.7.4, from its own suite and made with it. */
const passlibVectors: readonly (readonly [string, string])[] = [
  ['', '$bcrypt-sha256$v=2,t=2b,r=5$E/e/2AOhqM5W/KJTFQzLce$WFPIZKtDDTriqWwlmRFfHiOTeheAZWe'],
  ['password', '$bcrypt-sha256$v=2,t=2b,r=5$5Hg1DKFqPE8C2aflZ5vVoe$wOK1VFFtS8IGTrGa7.h5fs0u84qyPbS'],
  ['abc123'.repeat(12), '$bcrypt-sha256$v=2,t=2b,r=5$X1g1nh3g0v4h6970O68cxe$zu1cloESVFIOsUIo7fCEgkdHaI9SSue'],
  [`${'abc123'.repeat(12)}qwr`, '$bcrypt-sha256$v=2,t=2b,r=5$X1g1nh3g0v4h6970O68cxe$CBF9csfEdW68xv3DwE6xSULXMtqEFP.'],
  [`${'abc123'.repeat(12)}xyz`, '$bcrypt-sha256$v=2,t=2b,r=5$X1g1nh3g0v4h6970O68cxe$zC/1UDUG2ofEXB6Onr2vvyFzfhEOS3S'],
  [`${'é'.repeat(40)}1`, '$bcrypt-sha256$v=2,t=2b,r=5$/ZR.6sLIIcLmMMqUPCdU1.$JREJiL6Tgqoe/MJqsxw3fzOf0MHbc5S'],
  [`${'a'.repeat(100)}X`, '$bcrypt-sha256$v=2,t=2b,r=5$IxtKkz0L69GRPjTyzrWrAO$iYHLeJXSLAg2CYSd/u41vK6Y5UC6ypm'],
  ['abc\0def', '$bcrypt-sha256$v=2,t=2b,r=5$gYDAgvxB0tsvedi0NlEDOO$XlKBdiIOm9BqYhfRkYkJuVtA.6whzuu'],
  ['🔑 key', '$bcrypt-sha256$v=2,t=2b,r=5$QH7dofWDNWofukMx/mk0.e$2JviQ/2M0sgHGzJLauu.9VdrhHA.JGy'],
];

const made: PasswordHasher[] = [];
function hasherOf(changes: Partial<PasswordHasherOptions> = {}): PasswordHasher {
  const hasher = createPasswordHasher({ algorithm: 'bcrypt', bcryptCost: 4, workers: 2, queueLimit: 500, ...changes });
  made.push(hasher);
  return hasher;
}
after(async () => {
  await Promise.all(made.map((hasher) => hasher.stop()));
});

async function hashed(hasher: PasswordHasher, password: string): Promise<string> {
  const result = await hasher.hash(password);
  assert.ok(result.kind === 'hashed');
  return result.encoded;
}

async function checked(hasher: PasswordHasher, password: string, encoded: string | undefined): Promise<string> {
  const result = await hasher.verify(password, encoded);
  assert.ok(result.kind === 'checked');
  return `${result.ok ? 'right' : 'wrong'}${result.needsRehash ? ', renew' : ''}`;
}

describe('hashing passwords', () => {
  const bcrypt = hasherOf();
  const argon2id = hasherOf({ algorithm: 'argon2id' });

  test("passlib's bcrypt-sha256 vectors verify, and no vector verifies another's password", async () => {
    for (const [password, encoded] of passlibVectors) {
      for (const [other] of passlibVectors) {
        assert.equal(await checked(bcrypt, other, encoded), other === password ? 'right' : 'wrong');
      }
    }
  });

  test('plain bcrypt hashes of imports verify in all three versions, and are renewed', async () => {
    const encoded = '$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';
    for (const version of ['2a', '2b', '2y']) {
      assert.equal(await checked(bcrypt, 'U*U', encoded.replace('2b', version)), 'right, renew');
      assert.equal(await checked(bcrypt, 'U*V', encoded.replace('2b', version)), 'wrong');
    }
  });

  test('a switch of algorithm or a higher cost renews the hash at the next right password only', async () => {
    const old = await hashed(bcrypt, 'tq7-vkzw');
    assert.equal(await checked(argon2id, 'tq7-vkzw', old), 'right, renew');
    assert.equal(await checked(argon2id, 'wrong', old), 'wrong');
    assert.equal(await checked(hasherOf({ bcryptCost: 5 }), 'tq7-vkzw', old), 'right, renew');
    assert.equal(await checked(bcrypt, 'tq7-vkzw', await hashed(argon2id, 'tq7-vkzw')), 'right, renew');
  });

  test('PWD-08 equal passwords have different hashes, with parameters at the minimum or above', async () => {
    const [one, two] = [await hashed(argon2id, 'same'), await hashed(argon2id, 'same')];
    assert.notEqual(one, two);
    assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.notEqual(await hashed(bcrypt, 'same'), await hashed(bcrypt, 'same'));
    assert.match(await hashed(bcrypt, 'same'), /^\$bcrypt-sha256\$v=2,t=2b,r=4\$[./A-Za-z0-9]{22}\$[./A-Za-z0-9]{31}$/);
  });

  for (const [name, hasher] of [['bcrypt', bcrypt] as const, ['argon2id', argon2id] as const]) {
    test(`PWD-03 every character counts, beyond 72 octets and beyond a NUL (${name})`, async () => {
      const pairs = [
        [`${'a'.repeat(100)}X`, `${'a'.repeat(100)}Y`],
        [`${'é'.repeat(36)}1`, `${'é'.repeat(36)}2`],
        ['abc\0def-ghi', 'abc\0xyz-ghi'],
        ['abc\0', 'abc'],
        ['\0abc', ''],
        ['a'.repeat(128), 'a'.repeat(127)],
        ['tail ', 'tail'],
      ];
      for (const [password = '', other = ''] of pairs) {
        const encoded = await hashed(hasher, password);
        assert.equal(await checked(hasher, password, encoded), 'right');
        assert.equal(await checked(hasher, other, encoded), 'wrong');
      }
    });

    test(`PWD-05 composed and decomposed spellings are one password; compatible ones are not (${name})`, async () => {
      const encoded = await hashed(hasher, 'caf\u00e9 \ufb01n');
      assert.equal(await checked(hasher, 'cafe\u0301 \ufb01n', encoded), 'right');
      assert.equal(await checked(hasher, 'caf\u00e9 fin', encoded), 'wrong');
    });

    test(`ENU-02 nobody's hash, an unknown format and ill-formed text are wrong, and are hashed too (${name})`, async () => {
      let hashes = 0;
      const counting = hasherOf({ algorithm: name, observe: () => hashes++ });
      const encoded = await hashed(counting, 'tq7-vkzw');
      assert.equal(await checked(counting, 'tq7-vkzw', undefined), 'wrong');
      assert.equal(await checked(counting, 'tq7-vkzw', '$1$unknown'), 'wrong');
      assert.equal(await checked(counting, 'tq7-vkzw\ud800', encoded), 'wrong');
      assert.equal(await checked(counting, '', undefined), 'wrong');
      assert.equal(hashes, 5);
      await assert.rejects(counting.hash('\ud800'), TypeError);
    });

    test(`any password verifies against its own hash and against no other's (${name})`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), async (password, other) => {
          fc.pre(password.isWellFormed());
          const encoded = await hashed(hasher, password);
          assert.equal(await checked(hasher, password, encoded), 'right');
          const same = password.normalize('NFC') === other.normalize('NFC');
          assert.equal(await checked(hasher, other, encoded), same ? 'right' : 'wrong');
        }),
        { numRuns: name === 'bcrypt' ? 100 : 25 },
      );
    });
  }
});

describe('the hashing threads', () => {
  test('DOS-04 a full queue is answered at once, in the order of the questions, and the rest is served', async () => {
    const hasher = hasherOf({ bcryptCost: 8, workers: 2, queueLimit: 6 });
    const answers: string[] = [];
    const asked = Array.from({ length: 20 }, async (_, n) => {
      const { kind } = await hasher.verify('x', undefined);
      answers.push(kind);
      return { n, kind };
    });
    assert.equal(hasher.queued(), 6);
    const results = await Promise.all(asked);
    // Twelve refusals were given before any hash was.
    assert.deepEqual(answers, [...Array(12).fill('overloaded'), ...Array(8).fill('checked')]);
    assert.ok(results.every(({ n, kind }) => n < 8 === (kind === 'checked')));
    assert.equal(hasher.queued(), 0);
  });

  test('DOS-04 where hashes take long, as on a machine that others use, fewer wait than the queue has room for', async () => {
    let seconds = 0;
    // The clock runs two seconds between the begin and the end of the first hash.
    const slow = hasherOf({ workers: 1, queueLimit: 100, clock: { monotonicMs: () => seconds++ * 2_000 } });
    await hashed(slow, 'first');
    assert.equal(slow.accepts(), true);
    const asked = Array.from({ length: 10 }, () => slow.hash('another'));
    assert.equal(slow.accepts(), false);
    const results = await Promise.all(asked);
    assert.equal(slow.accepts(), true);
    const kinds = results.map(({ kind }) => kind);
    assert.deepEqual([kinds.filter((kind) => kind === 'hashed').length, kinds.indexOf('overloaded')], [6, 6]);
  });

  test('hashing leaves the event loop free', async () => {
    const hasher = hasherOf({ bcryptCost: 8 });
    let turns = 0;
    let hashing = true;
    const turn = (): void => {
      turns++;
      if (hashing) setImmediate(turn);
    };
    setImmediate(turn);
    await Promise.all([hasher.hash('a'), hasher.hash('b'), hasher.hash('c')]);
    hashing = false;
    assert.ok(turns > 100, `${turns} turns while three passwords were hashed`);
  });

  test('F-34 a thread that dies is replaced and its job done by another', async () => {
    const exits: Error[] = [];
    const hasher = hasherOf({ bcryptCost: 9, workers: 2, onWorkerExit: (error) => exits.push(error) });
    const encoded = await hashed(hasher, 'tq7-vkzw');
    for (let round = 1; round <= 5; round++) {
      const asked = Array.from({ length: 6 }, () => checked(hasher, 'tq7-vkzw', encoded));
      await hasher.killWorker();
      for (const answer of await Promise.all(asked)) assert.equal(answer, 'right');
      assert.equal(exits.length, round);
    }
    assert.equal(hasher.health().status, 'ok');
    assert.equal(hasher.health().deaths, 5);
  });

  test('F-34 a job that kills two threads fails, and the others are still done', async () => {
    const hasher = hasherOf({ bcryptCost: 11, workers: 1 });
    const fatal = hasher.verify('x', undefined);
    const refused = assert.rejects(fatal, /a hashing thread ended/);
    const behind = hasher.verify('y', undefined);
    await hasher.killWorker();
    // The job is given to the next thread as soon as there is one.
    while (hasher.health().busy === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await hasher.killWorker();
    await refused;
    assert.equal((await behind).kind, 'checked');
  });

  test('threads start with the first job and end when there was none for a while', async () => {
    const hasher = hasherOf({ workerIdleMs: 30 });
    assert.equal(hasher.health().workers, 0);
    await hashed(hasher, 'a');
    assert.equal(hasher.health().workers, 1);
    while (hasher.health().workers > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await hashed(hasher, 'a');
    assert.equal(hasher.health().deaths, 0);
  });

  test('stopping finishes what is being hashed and answers the rest as overloaded', async () => {
    const hasher = hasherOf({ bcryptCost: 8, workers: 1 });
    const asked = Array.from({ length: 4 }, async () => (await hasher.verify('x', undefined)).kind);
    await hasher.stop();
    assert.deepEqual(await Promise.all(asked), ['checked', 'overloaded', 'overloaded', 'overloaded']);
    assert.equal((await hasher.hash('a')).kind, 'overloaded');
    assert.equal(hasher.health().workers, 0);
  });
});

test('DOS-04 the hashing threads are as nice as they are told to be, and the others are not', async (t) => {
  if (process.platform !== 'linux') return t.skip('elsewhere niceness is of the whole process');
  const niceness = (): string[] =>
    readdirSync('/proc/self/task').flatMap((id) => {
      const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8');
      // Its name may hold spaces; nice is the 19th field, the 17th behind the name.
      return [stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16] ?? ''];
    });
  const before = niceness();
  await hashed(hasherOf({ workers: 1, nice: 13 }), 'one at thirteen');
  assert.equal(niceness().filter((one) => one === '13').length, 1);
  const count = (all: readonly string[]) => all.filter((one) => one === '19').length;
  const nicest = count(niceness());
  await hashed(hasherOf({ workers: 1 }), 'one as shipped');
  assert.equal(count(niceness()), nicest + 1);
  assert.ok(before.includes(niceness()[0] ?? ''), 'the main thread is as it was');
});
