/**
 * `node tools/bench/guard-peers.ts [--quick]`: guard's verifier beside two libraries that do less (no revocation, no freshness), on
 * the same EdDSA tokens in one process, interleaved. The rows go to standard output as JSON.
 */
import { randomBytes } from 'node:crypto';
import {
  createFreshness,
  createKeySet,
  createReplica,
  createSubscriber,
  createVerifier,
  type Verifier,
} from '@auth-service/guard';
import { createVerifier as createFastJwt } from 'fast-jwt';
import { jwtVerify } from 'jose';
import { createForge } from '../../tests/support/forge.ts';
import { median, ratioOf } from './lib/bench.ts';
import { atLeast, perSecond, type Row } from './lib/report.ts';

const place = { issuer: 'https://auth.example', audience: 'auth-service' };
const forge = createForge(place);
const quick = process.argv.includes('--quick');

function ours(cacheEntries: number): Verifier {
  const keys = createKeySet();
  keys.replace([{ kid: forge.kid, algorithm: forge.algorithm, publicKey: forge.publicKey }]);
  const replica = createReplica({ hashKey: randomBytes(16) });
  const clocks = { monotonicNow: () => performance.now(), wallNow: () => Date.now(), maxStalenessMs: 3_600_000 };
  const freshness = createFreshness(clocks);
  const subscriber = createSubscriber({ replica, freshness });
  subscriber.complete(subscriber.begin(), { storeEpoch: 'bench', snapshot: '', entries: [], whole: true });
  return createVerifier({ keys, replica, freshness, ...place, clock: () => Date.now() / 1_000, cacheEntries });
}

const fastJwt = (cache: boolean) =>
  createFastJwt({
    key: forge.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    ...{ algorithms: ['EdDSA'], allowedIss: place.issuer, allowedAud: place.audience, cache: cache ? 1_000 : false },
  });

const jose = (token: string): Promise<unknown> =>
  jwtVerify(token, forge.publicKey, { ...place, algorithms: ['EdDSA'], typ: 'at+jwt' });

async function rate(count: number, run: (token: string) => unknown, tokens: readonly string[]): Promise<number> {
  const began = performance.now();
  for (let at = 0; at < count; at += 1) {
    const answer = run(tokens[at % tokens.length] ?? '');
    if (answer instanceof Promise) await answer;
  }
  return (count * 1_000) / (performance.now() - began);
}

/** Each in turn, round after round; the medians count. */
async function compare(sides: Readonly<Record<string, readonly [number, (token: string) => unknown]>>) {
  const tokens = Array.from({ length: 500 }, () => forge.token());
  const seen: Record<string, number[]> = {};
  const rounds = quick ? 15 : 60;
  for (let round = -3; round < rounds; round += 1) {
    for (const [name, [count, run]] of Object.entries(sides)) {
      const measured = await rate(count, run, tokens);
      const list = seen[name] ?? [];
      if (round >= 0) list.push(measured);
      seen[name] = list;
    }
  }
  return seen;
}

function refuseNothing(verifier: Verifier): (token: string) => void {
  return (token) => {
    if (verifier.verify(token).kind !== 'valid') throw new Error('a right token was refused');
  };
}

const first = await compare({
  ours: [150, refuseNothing(ours(0))],
  jose: [150, jose],
  fastJwt: [150, fastJwt(false)],
});
const cached = await compare({ ours: [20_000, refuseNothing(ours(20_000))], fastJwt: [20_000, fastJwt(true)] });

function row(workload: string, seen: Readonly<Record<string, readonly number[]>>, name: string, bar: boolean): Row {
  const rates = { ours: median(seen['ours'] ?? []), theirs: median(seen[name] ?? []) };
  const ratio = ratioOf(seen['ours'] ?? [], seen[name] ?? []);
  return {
    ...{ workload, ours: perSecond(rates.ours), limit: perSecond(rates.theirs), ratio },
    bar: bar ? atLeast(rates.ours, 1_000_000, '/s') : undefined,
    note: 'ours asks for revocation and freshness, the other does not',
    raw: { ...seen },
  };
}

const rows = [
  row('guard beside jose: first verification, EdDSA', first, 'jose', false),
  row('guard beside fast-jwt: first verification, EdDSA', first, 'fastJwt', false),
  row('guard beside fast-jwt: cached verification, 500 tokens', cached, 'fastJwt', true),
];
console.log(JSON.stringify({ rows }));
