/** Hashing and verifying passwords, off the event loop. */
import { availableParallelism } from 'node:os';
import { type Random, systemRandom } from '../platform/random/index.ts';
import { type Clock, systemClock } from '../platform/time/index.ts';
import {
  argon2idParameters,
  dummyHash,
  type EncodedHash,
  type HashParameters,
  needsRehash,
  type PasswordAlgorithm,
  parseEncodedHash,
} from './encoding.rule.ts';
import type { HashJob } from './hash-worker.ts';
import { normalisePassword } from './password.rule.ts';
import { createWorkerPool } from './worker-pool.ts';

export interface PasswordHasherOptions extends HashParameters {
  /** Threads; as many as cores by default. */
  readonly workers?: number;
  /** Niceness of the threads, where the platform keeps one for each (Linux); 19 by default. */
  readonly nice?: number;
  /** Passwords that may wait; 16 a thread by default, about three seconds of bcrypt at cost 12. */
  readonly queueLimit?: number;
  /** After so long without work a thread ends; 60 s by default. */
  readonly workerIdleMs?: number;
  /** Seconds of computing, without the wait in the queue. */
  readonly observe?: (algorithm: PasswordAlgorithm, seconds: number) => void;
  /** A thread died. It is replaced when it is needed; this is for the log and the restart metric. */
  readonly onWorkerExit?: (error: Error) => void;
  readonly clock?: Pick<Clock, 'monotonicMs'>;
  readonly random?: Pick<Random, 'bytes'>;
}

export type HashResult = { readonly kind: 'hashed'; readonly encoded: string } | { readonly kind: 'overloaded' };

export type VerifyResult =
  | { readonly kind: 'checked'; readonly ok: boolean; readonly needsRehash: boolean }
  | { readonly kind: 'overloaded' };

export interface HasherHealth {
  /** Degraded: threads die and no job has been finished since. */
  readonly status: 'ok' | 'degraded';
  readonly workers: number;
  readonly busy: number;
  readonly queued: number;
  readonly deaths: number;
}

export interface PasswordHasher {
  /** The password has passed the policy; ill-formed text throws. */
  hash(password: string): Promise<HashResult>;
  /** `undefined` is nobody's hash: as much work, and never `ok`. So is a format that is not known. */
  verify(password: string, encoded: string | undefined): Promise<VerifyResult>;
  /** Whether a password would be taken now: asked before anything else is done for its sake. */
  accepts(): boolean;
  /** Passwords that wait. */
  queued(): number;
  health(): HasherHealth;
  /** Ends one thread as a crash would, for drills. */
  killWorker(): Promise<void>;
  stop(): Promise<void>;
}

const queuePerWorker = 16;
const workerIdleMsDefault = 60_000;
const niceDefault = 19;
const dummyRandomBytes = 64;

export function createPasswordHasher(options: PasswordHasherOptions): PasswordHasher {
  const workers = options.workers ?? availableParallelism();
  const pool = createWorkerPool({
    workers,
    nice: options.nice ?? niceDefault,
    queueLimit: options.queueLimit ?? workers * queuePerWorker,
    clock: options.clock ?? systemClock,
    idleMs: options.workerIdleMs ?? workerIdleMsDefault,
    onWorkerExit: options.onWorkerExit ?? (() => undefined),
    observe: (seconds) => options.observe?.(options.algorithm, seconds),
  });
  const nobodys = parseKnown(dummyHash(options, (options.random ?? systemRandom).bytes(dummyRandomBytes)));

  async function hash(password: string): Promise<HashResult> {
    const normal = normalisePassword(password);
    if (normal === undefined) throw new TypeError('an ill-formed password reached the hasher');
    const result = await pool.run(hashJob(normal, options));
    return result.kind === 'done' ? { kind: 'hashed', encoded: String(result.value) } : result;
  }

  async function verify(password: string, encoded: string | undefined): Promise<VerifyResult> {
    const normal = normalisePassword(password);
    const parsed = encoded === undefined ? undefined : parseEncodedHash(encoded);
    const known = normal !== undefined && encoded !== undefined && parsed !== undefined;
    const against = known ? { encoded, parsed } : nobodys;
    const result = await pool.run(verifyJob(normal ?? '', against.encoded, against.parsed));
    if (result.kind === 'overloaded') return result;
    const ok = known && result.value === true;
    return { kind: 'checked', ok, needsRehash: ok && needsRehash(parsed, options) };
  }

  return {
    hash,
    verify,
    accepts: () => pool.accepts(),
    queued: () => pool.figures().queued,
    health: () => {
      const { deathsInARow, ...figures } = pool.figures();
      return { status: deathsInARow > 1 ? 'degraded' : 'ok', ...figures };
    },
    killWorker: () => pool.killOne(),
    stop: () => pool.stop(),
  };
}

function parseKnown(encoded: string): { readonly encoded: string; readonly parsed: EncodedHash } {
  const parsed = parseEncodedHash(encoded);
  if (parsed === undefined) throw new RangeError('the cost of new password hashes is out of bounds');
  return { encoded, parsed };
}

function hashJob(password: string, { algorithm, bcryptCost }: HashParameters): HashJob {
  if (algorithm === 'bcrypt') return { kind: 'hash-bcrypt', password, cost: bcryptCost };
  const { memoryKib, passes, lanes } = argon2idParameters;
  return { kind: 'hash-argon2id', password, memoryKib, passes, lanes };
}

function verifyJob(password: string, encoded: string, parsed: EncodedHash): HashJob {
  switch (parsed.kind) {
    case 'bcrypt-sha256':
      return { kind: 'verify-bcrypt-sha256', password, cost: parsed.cost, salt: parsed.salt, digest: parsed.digest };
    case 'bcrypt':
      return { kind: 'verify-bcrypt', password, encoded };
    case 'argon2id':
    case 'argon2i':
      return { kind: 'verify-argon2', password, encoded };
    case 'scrypt':
    case 'firebase-scrypt':
      return { ...parsed, kind: `verify-${parsed.kind}`, password };
    case 'pbkdf2':
      return { ...parsed, kind: 'verify-pbkdf2', password };
  }
}
