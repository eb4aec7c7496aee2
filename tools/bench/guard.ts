/**
 * `node tools/bench/guard.ts [--quick]`: guard in process. Cached and first verifications, the latter interleaved with the bare
 * signature check of the same tokens; look-ups and memory of the replica at a million revocations. Samples are a
 * few milliseconds long and the median counts, so that those in which the core was somebody else's fall out. The table goes to
 * standard error, the rows as JSON to standard output.
 */
import { type KeyObject, randomBytes, randomUUID, verify } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  createFreshness,
  createKeySet,
  createReplica,
  createSubscriber,
  createVerifier,
  type Replica,
  type Verifier,
} from '@auth-service/guard';
import type { RevocationEntry, SigningAlgorithm } from '@auth-service/protocol';
import { createForge, type Forge } from '../../tests/support/forge.ts';
import { atLeast, atMost, format, perSecond, type Row, textTable } from './lib/report.ts';

const million = 1_000_000;
const hourSeconds = 3_600;
const place = { issuer: 'https://auth.example', audience: 'auth-service' };

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

interface Guard {
  readonly verifier: Verifier;
  readonly replica: Replica;
}

/** On the clocks that a service uses. */
function createGuard(forge: Forge, replica = createReplica({ hashKey: randomBytes(16) })): Guard {
  const keys = createKeySet();
  keys.replace([{ kid: forge.kid, algorithm: forge.algorithm, publicKey: forge.publicKey }]);
  const freshness = createFreshness({
    monotonicNow: () => performance.now(),
    wallNow: () => Date.now(),
    maxStalenessMs: hourSeconds * 1_000,
  });
  const subscriber = createSubscriber({ replica, freshness });
  subscriber.complete(subscriber.begin(), { storeEpoch: 'bench', snapshot: '', entries: [], whole: true });
  const clock = () => Date.now() / 1_000;
  return { replica, verifier: createVerifier({ keys, replica, freshness, ...place, clock }) };
}

function verifyAll(verifier: Verifier, tokens: readonly string[]): void {
  for (const token of tokens) {
    if (verifier.verify(token).kind !== 'valid') throw new Error('a right token was refused');
  }
}

/**
 * Calls a second: the median of many short samples. Each takes the next `sampleSize` of the items, round and round; `prepare`
 * is not timed.
 */
function rate<T, P>(
  items: readonly T[],
  sampleSize: number,
  samples: number,
  prepare: (items: readonly T[]) => readonly P[],
  run: (prepared: readonly P[]) => void,
): number {
  const parts: (readonly T[])[] = [];
  for (let at = 0; at < items.length; at += sampleSize) parts.push(items.slice(at, at + sampleSize));
  const rates: number[] = [];
  for (let number = 0; number < samples + parts.length; number += 1) {
    const prepared = prepare(parts[number % parts.length] ?? []);
    const beganMs = performance.now();
    run(prepared);
    // The first time around warms up.
    if (number >= parts.length) rates.push((prepared.length * 1_000) / (performance.now() - beganMs));
  }
  return median(rates);
}

const asTheyAre = <T>(items: readonly T[]): readonly T[] => items;

/** A token as it comes out of a request: a text of its own. */
const copyOf = (token: string): string => Buffer.from(token, 'latin1').toString('latin1');

function cachedRows(quick: boolean): readonly Row[] {
  const forge = createForge(place);
  const { verifier, replica } = createGuard(forge);
  const samples = quick ? 500 : 3_000;
  const one = copyOf(forge.token());
  const same = Array.from({ length: 2_000 }, () => one);
  const distinct = Array.from({ length: 10_000 }, () => copyOf(forge.token()));
  const measure = (tokens: readonly string[]): number =>
    rate(tokens, 2_000, samples, asTheyAre, (part) => verifyAll(verifier, part));
  const row = (workload: string, ours: number, bar: boolean, note: string): Row => ({
    ...{ workload, ours: perSecond(ours), limit: '', ratio: undefined, note, raw: { perSecond: ours } },
    bar: bar ? atLeast(ours, million, '/s') : undefined,
  });
  const sameRate = measure(same);
  const distinctRate = measure(distinct);
  const revoking = rate(same, 2_000, samples, asTheyAre, (part) => {
    replica.apply(revocation('session', randomUUID()));
    verifyAll(verifier, part);
  });
  return [
    row('guard: cached verification, one token', sameRate, true, ''),
    row('guard: cached verification, 10,000 tokens', distinctRate, true, 'each a text of its own'),
    row(
      'guard: cached verification while revocations come in',
      revoking,
      false,
      'one revocation each 2,000 verifications',
    ),
  ];
}

interface Prepared {
  readonly token: string;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

function prepare(token: string): Prepared {
  const end = token.lastIndexOf('.');
  return {
    token,
    signed: Buffer.from(token.slice(0, end)),
    signature: Buffer.from(token.slice(end + 1), 'base64url'),
  };
}

function verifyBare(algorithm: SigningAlgorithm, publicKey: KeyObject, { signed, signature }: Prepared): boolean {
  switch (algorithm) {
    case 'EdDSA':
      return verify(null, signed, publicKey, signature);
    case 'ES256':
      return verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
    case 'RS256':
      return verify('RSA-SHA256', signed, publicKey, signature);
  }
}

/** Tokens of one sample; a new verifier each time, so that each is new to it. */
const batch = 20;
const warmUpRounds = 100;

function firstRow(algorithm: SigningAlgorithm, quick: boolean): Row {
  const forge = createForge({ ...place, algorithm });
  const tokens = Array.from({ length: batch }, () => prepare(forge.token()));
  const ours: number[] = [];
  const bare: number[] = [];
  const rounds = quick ? 400 : 2_000;
  for (let round = 0; round < rounds + warmUpRounds; round += 1) {
    const { verifier } = createGuard(forge);
    const began = performance.now();
    for (const { token } of tokens) if (verifier.verify(token).kind !== 'valid') throw new Error('refused');
    const between = performance.now();
    for (const one of tokens) if (!verifyBare(algorithm, forge.publicKey, one)) throw new Error('refused');
    const ended = performance.now();
    // The first rounds warm the compiler up.
    if (round < warmUpRounds) continue;
    ours.push(tokens.length / (between - began));
    bare.push(tokens.length / (ended - between));
  }
  const ratio = median(ours.map((one, round) => one / (bare[round] ?? Number.NaN)));
  return {
    workload: `guard: first verification, ${algorithm}`,
    ours: perSecond(median(ours) * 1_000),
    limit: perSecond(median(bare) * 1_000),
    ratio,
    bar: algorithm === 'EdDSA' ? atLeast(ratio, 0.85) : undefined,
    note: 'limit: the bare signature check of the same tokens, interleaved',
    raw: { rounds, ratio },
  };
}

const revocation = (kind: RevocationEntry['kind'], subject: string): RevocationEntry => ({
  kind,
  subject,
  min_epoch: kind === 'user' ? 2 : 0,
  expires_at: Math.floor(Date.now() / 1_000) + hourSeconds,
});

/** Seven sessions, two tokens and one user in ten. */
const kindOf = (number: number): RevocationEntry['kind'] =>
  number % 10 < 7 ? 'session' : number % 10 < 9 ? 'token' : 'user';

function settledBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function replicaRows(quick: boolean): readonly Row[] {
  const forge = createForge(place);
  const before = settledBytes();
  const replica = createReplica({ hashKey: randomBytes(16) });
  let slowestMs = 0;
  let worstBytes = 0;
  const beganMs = performance.now();
  for (let number = 0; number < million; number += 1) {
    const stepMs = performance.now();
    replica.apply(revocation(kindOf(number), randomUUID()));
    slowestMs = Math.max(slowestMs, performance.now() - stepMs);
    if (number % 10_000 === 9_999 && number > 100_000)
      worstBytes = Math.max(worstBytes, replica.bytes() / (number + 1));
  }
  const loadMs = performance.now() - beganMs;
  const bytes = (settledBytes() - before) / million;
  // Claims come out of the parser just before they are looked up; where they lead to in the replica was not touched lately.
  const texts = Array.from({ length: 20_000 }, () => JSON.stringify(forge.claims()));
  const parse = (part: readonly string[]) => part.map((text) => JSON.parse(text) as ReturnType<Forge['claims']>);
  const lookUps = rate(texts, 500, quick ? 1_000 : 8_000, parse, (part) => {
    for (const one of part) if (replica.isRevoked(one, forge.kid)) throw new Error('a token that nobody revoked');
  });
  const nanoseconds = 1e9 / lookUps;
  const sweepMs = performance.now();
  replica.sweep(Date.now() / 1_000 + 2 * hourSeconds);
  const sweptMs = performance.now() - sweepMs;
  return [
    {
      ...{ workload: 'guard: memory of a live revocation at 1,000,000', ours: `${format(bytes)} bytes`, limit: '' },
      ...{ ratio: undefined, bar: atMost(bytes, 64, ' bytes') },
      note: `heap and buffers; by its own count ${format(worstBytes)} at the most while growing`,
      raw: { bytes, worstBytes, loadMs, slowestApplyMs: slowestMs, sweepMs: sweptMs },
    },
    {
      ...{ workload: 'guard: revocation check at 1,000,000', ours: `${format(nanoseconds)} ns`, limit: '' },
      ...{ ratio: undefined, bar: atMost(nanoseconds, 1_000, ' ns') },
      note: `20,000 tokens, none revoked; slowest insertion ${format(slowestMs)} ms, sweep of all ${format(sweptMs)} ms`,
      raw: { nanoseconds },
    },
  ];
}

function main(): void {
  const quick = process.argv.includes('--quick');
  const rows = [
    ...cachedRows(quick),
    ...(['EdDSA', 'ES256', 'RS256'] as const).map((algorithm) => firstRow(algorithm, quick)),
    ...replicaRows(quick),
  ];
  console.error(textTable(rows));
  console.log(JSON.stringify({ rows }));
}

main();
