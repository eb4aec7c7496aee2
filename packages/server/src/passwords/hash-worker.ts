/**
 * The thread that hashes. One job at a time, synchronously, at the lowest priority unless it is set: validation on the main thread stays at its
 * idle latency under a login flood, and the thread pool of libuv stays free for the rest.
 *
 * `runHashWorker` is handed to the thread as its source text: types are stripped once, by the main thread, and the worker
 * carries neither a compiler nor a module loader (11 MiB instead of 25). So it may use nothing from outside its own body.
 */
import type * as Argon2 from '@node-rs/argon2';
import type * as Bcrypt from '@node-rs/bcrypt';

export type HashJob =
  | { readonly kind: 'hash-bcrypt'; readonly password: string; readonly cost: number }
  | {
      readonly kind: 'hash-argon2id';
      readonly password: string;
      readonly memoryKib: number;
      readonly passes: number;
      readonly lanes: number;
    }
  | {
      readonly kind: 'verify-bcrypt-sha256';
      readonly password: string;
      readonly cost: number;
      readonly salt: string;
      readonly digest: string;
    }
  | { readonly kind: 'verify-bcrypt'; readonly password: string; readonly encoded: string }
  | { readonly kind: 'verify-argon2'; readonly password: string; readonly encoded: string }
  | {
      readonly kind: 'verify-scrypt' | 'verify-firebase-scrypt';
      readonly password: string;
      readonly logN: number;
      readonly blockSize: number;
      readonly lanes: number;
      /** Base64, as the digest. */
      readonly salt: string;
      readonly digest: string;
    }
  | {
      readonly kind: 'verify-pbkdf2';
      readonly password: string;
      readonly hash: 'sha1' | 'sha256' | 'sha512';
      readonly iterations: number;
      readonly salt: string;
      readonly digest: string;
    };

export type HashReply =
  | { readonly kind: 'done'; readonly value: string | boolean }
  | { readonly kind: 'failed'; readonly message: string };

export interface HashWorkerData {
  /** From where the hash libraries are resolved. */
  readonly resolveFrom: string;
  readonly nice: number;
}

export function runHashWorker(): void {
  const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads');
  const { createCipheriv, createHmac, pbkdf2Sync, scryptSync, timingSafeEqual } =
    process.getBuiltinModule('node:crypto');
  const os = process.getBuiltinModule('node:os');
  const { resolveFrom, nice } = workerData as HashWorkerData;
  const require = process.getBuiltinModule('node:module').createRequire(resolveFrom);
  // Niceness belongs to the thread on Linux only; elsewhere this would slow the whole process. Less of it may not be had again.
  if (os.platform() === 'linux') os.setPriority(0, Math.max(nice, os.getPriority(0)));

  let loadedBcrypt: typeof Bcrypt | undefined;
  let loadedArgon2: typeof Argon2 | undefined;
  const bcrypt = (): typeof Bcrypt => {
    loadedBcrypt ??= require('@node-rs/bcrypt') as typeof Bcrypt;
    return loadedBcrypt;
  };
  const argon2 = (): typeof Argon2 => {
    loadedArgon2 ??= require('@node-rs/argon2') as typeof Argon2;
    return loadedArgon2;
  };
  const keyed = (salt: string, password: string): string =>
    createHmac('sha256', salt).update(password, 'utf8').digest('base64');

  const octets = (base64: string): Buffer => Buffer.from(base64, 'base64');
  const scrypt = (job: Extract<HashJob, { readonly blockSize: number }>, length: number): Buffer => {
    const [N, r, p] = [2 ** job.logN, job.blockSize, job.lanes];
    // What it needs, exactly counted, and a little.
    return scryptSync(job.password, octets(job.salt), length, { N, r, p, maxmem: 128 * r * (N + p + 2) + 4_096 });
  };

  const work = (job: HashJob): string | boolean => {
    switch (job.kind) {
      case 'hash-bcrypt': {
        const prefixAndSalt = bcrypt().genSaltSync({ cost: job.cost, version: '2b' });
        const salt = prefixAndSalt.slice(-22);
        const encoded = bcrypt().hashSync(keyed(salt, job.password), { salt: prefixAndSalt });
        return `$bcrypt-sha256$v=2,t=2b,r=${job.cost}$${salt}$${encoded.slice(-31)}`;
      }
      case 'hash-argon2id':
        // 2 is `Algorithm.Argon2id`, a const enum that is not there at run time.
        return argon2().hashSync(job.password, {
          algorithm: 2,
          memoryCost: job.memoryKib,
          timeCost: job.passes,
          parallelism: job.lanes,
        });
      case 'verify-bcrypt-sha256': {
        const encoded = `$2b$${String(job.cost).padStart(2, '0')}$${job.salt}${job.digest}`;
        return bcrypt().verifySync(keyed(job.salt, job.password), encoded);
      }
      case 'verify-bcrypt':
        return bcrypt().verifySync(job.password, job.encoded);
      case 'verify-argon2':
        return argon2().verifySync(job.encoded, job.password);
      case 'verify-scrypt': {
        const digest = octets(job.digest);
        return timingSafeEqual(scrypt(job, digest.length), digest);
      }
      case 'verify-firebase-scrypt': {
        // Firebase encrypts its project's key with what scrypt gives; what is stored is the key stream that this takes.
        const digest = octets(job.digest);
        const cipher = createCipheriv('aes-256-ctr', scrypt(job, 32), octets('AAAAAAAAAAAAAAAAAAAAAA'));
        return timingSafeEqual(cipher.update(digest.map(() => 0)), digest);
      }
      case 'verify-pbkdf2': {
        const digest = octets(job.digest);
        const made = pbkdf2Sync(job.password, octets(job.salt), job.iterations, digest.length, job.hash);
        return timingSafeEqual(made, digest);
      }
    }
  };

  parentPort?.on('message', (job: HashJob) => {
    let reply: HashReply;
    try {
      reply = { kind: 'done', value: work(job) };
    } catch (error) {
      // The name only: the libraries' texts might carry what was hashed.
      reply = { kind: 'failed', message: error instanceof Error ? error.name : 'unknown' };
    }
    parentPort.postMessage(reply);
  });
}
