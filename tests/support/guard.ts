/** A verifier in process with clocks that tests move by hand. */
import { randomBytes } from 'node:crypto';
import {
  createFreshness,
  createKeySet,
  createReplica,
  createSubscriber,
  createVerifier,
  type Freshness,
  type KeySet,
  type Replica,
  type Subscriber,
  type VerificationKey,
  type Verifier,
  type VerifierSettings,
} from '@auth-service/guard';
import type { Forge } from './forge.ts';

export interface TestGuard {
  readonly keys: KeySet;
  readonly replica: Replica;
  readonly freshness: Freshness;
  readonly subscriber: Subscriber;
  readonly verifier: Verifier;
  readonly time: { monotonicMs: number; wallMs: number };
  /** Both clocks. */
  advance(milliseconds: number): void;
  /** One whole load of an empty ledger: from now on the verifier vouches. */
  confirm(): void;
}

export const maxStalenessMs = 10_000;

export function keyOf(forge: Forge): VerificationKey {
  return { kid: forge.kid, algorithm: forge.algorithm, publicKey: forge.publicKey };
}

/** Fresh, knowing the forge's key, and at the forge's time. */
export function createTestGuard(forge: Forge, settings: Partial<VerifierSettings> = {}): TestGuard {
  const time = { monotonicMs: 1_000, wallMs: forge.nowSeconds() * 1_000 };
  const keys = createKeySet();
  keys.replace([keyOf(forge)]);
  const replica = createReplica({ hashKey: randomBytes(16) });
  const freshness = createFreshness({
    monotonicNow: () => time.monotonicMs,
    wallNow: () => time.wallMs,
    maxStalenessMs,
  });
  const subscriber = createSubscriber({ replica, freshness });
  const { issuer, audience } = forge;
  const clock = () => time.wallMs / 1_000;
  const verifier = createVerifier({ keys, replica, freshness, issuer, audience, clock, ...settings });
  const guard: TestGuard = {
    keys,
    replica,
    freshness,
    subscriber,
    verifier,
    time,
    advance(milliseconds) {
      time.monotonicMs += milliseconds;
      time.wallMs += milliseconds;
    },
    confirm() {
      subscriber.complete(subscriber.begin(), { storeEpoch: 'store/1', snapshot: '1:1:', entries: [], whole: true });
    },
  };
  guard.confirm();
  return guard;
}
