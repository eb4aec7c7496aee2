/**
 * Counters in this process.
 *
 * The table is bounded and never grows: sets of eight slots in typed arrays, 16 octets a counter, a million counters in all.
 * A key that finds its set full takes the slot of whoever has the least to wait, which is nobody's loss as long as one of
 * the eight has nothing taken; so a flood of new addresses does not free one that is over its limit, before all eight
 * of a set are. Memory that no counter has touched is not resident.
 *
 * Keys are known by a 64-bit fingerprint under a secret of the process, so that nobody can choose keys that collide.
 */
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { createFingerprint, fingerprintSecretBytes } from './fingerprint.ts';
import { decide, type RateLimitResult, type RatePolicy } from './policy.rule.ts';
import type { RateLimiter } from './rate-limit.ts';

export interface LocalRateLimiterOptions {
  readonly policies: Readonly<Record<string, RatePolicy>>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: Pick<Random, 'bytes'>;
  /** Counters in the table, a power of two; 2^20 by default (16 MiB when all are used). */
  readonly slots?: number;
}

export interface LocalRateLimiter extends RateLimiter {
  take(policy: string, key: string, cost?: number): RateLimitResult;
}

const slotsDefault = 2 ** 20;
const ways = 8;

export function createLocalRateLimiter(options: LocalRateLimiterOptions): LocalRateLimiter {
  const slots = options.slots ?? slotsDefault;
  if (slots < ways || !Number.isInteger(Math.log2(slots)))
    throw new RangeError('the number of slots is a power of two');
  const setMask = slots / ways - 1;
  const fingerprints = new Uint32Array(slots * 2);
  const arrivals = new Float64Array(slots);
  const fingerprint = createFingerprint(options.random.bytes(fingerprintSecretBytes));
  const policies = new Map(
    Object.entries(options.policies).map(([name, policy], index) => [name, { policy, index }] as const),
  );

  /** The key's slot; a slot that was another key's has been emptied. */
  function slotOf(high: number, low: number): number {
    const first = (high & setMask) * ways;
    let least = first;
    for (let slot = first; slot < first + ways; slot++) {
      if (fingerprints[slot * 2] === high && fingerprints[slot * 2 + 1] === low) return slot;
      if ((arrivals[slot] ?? 0) < (arrivals[least] ?? 0)) least = slot;
    }
    fingerprints[least * 2] = high;
    fingerprints[least * 2 + 1] = low;
    arrivals[least] = 0;
    return least;
  }

  return {
    take(name, key, cost = 1) {
      const known = policies.get(name);
      if (known === undefined) throw new Error(`no rate limit is named ${name}`);
      const { policy, index } = known;
      const [high, low] = fingerprint(index, key);
      const slot = slotOf(high, low);
      const decision = decide(policy, arrivals[slot] ?? 0, options.clock.monotonicMs(), cost);
      arrivals[slot] = decision.arrivalMs;
      const { allowed, remaining, resetSeconds, retryAfterSeconds } = decision;
      return { policy: name, ...policy, allowed, remaining, resetSeconds, retryAfterSeconds };
    },
  };
}
