/**
 * Addresses where peers may be: from the table of leases and from discovery, which only add. Each is tried again with growing
 * pauses while nobody is linked there. One that only leases told goes when no lease tells it any more; one that discovery told
 * goes when that has not told it for ten minutes, and as many are kept as fit.
 */
import { type Address, writeAddress } from './address.rule.ts';

export interface Target extends Address {
  readonly key: string;
  /** Who answered there, or who is said to. */
  incarnation: string | undefined;
  byDiscovery: boolean;
  toldAt: number;
  nextAt: number;
  failures: number;
  dialling: boolean;
}

export interface Targets {
  found(peers: readonly Address[], nowMs: number): void;
  leases(peers: readonly (Address & { readonly incarnation: string })[], nowMs: number): void;
  due(nowMs: number): readonly Target[];
  failed(target: Target, nowMs: number): void;
  reached(target: Target, incarnation: string): void;
  all(): readonly Target[];
}

const targetsMax = 1_000;
const pauseMsMin = 250;
const pauseMsMax = 30_000;
/** Of two that know each other one dials first. */
const courtesyMs = 500;
/** Two beats of the longest rhythm, and more. */
const leaseToldMs = 15_000;
/** Pods come and go under new addresses, and a look that fails is to cost nothing: much longer than the longest pause of one. */
const discoveryToldMs = 600_000;

export function createTargets(deps: {
  readonly ownIncarnation: string;
  readonly random: () => number;
  /** Whether there is a link to it. */
  readonly isLinked: (incarnation: string) => boolean;
}): Targets {
  const targets = new Map<string, Target>();
  const isIdle = (target: Target): boolean =>
    !target.dialling && (target.incarnation === undefined || !deps.isLinked(target.incarnation));

  function add(address: Address, nowMs: number, incarnation: string | undefined): Target | undefined {
    const key = writeAddress(address);
    const known = targets.get(key);
    if (known !== undefined) return known;
    if (targets.size >= targetsMax) dropOldest();
    if (targets.size >= targetsMax) return undefined;
    const waits = incarnation !== undefined && incarnation < deps.ownIncarnation;
    const made: Target = {
      ...{ host: address.host, port: address.port, key, incarnation, byDiscovery: false, toldAt: nowMs },
      ...{ nextAt: nowMs + (waits ? courtesyMs : 0), failures: 0, dialling: false },
    };
    targets.set(key, made);
    return made;
  }

  function dropOldest(): void {
    let oldest: Target | undefined;
    for (const target of targets.values()) {
      if (isIdle(target) && (oldest === undefined || target.toldAt < oldest.toldAt)) oldest = target;
    }
    if (oldest !== undefined) targets.delete(oldest.key);
  }

  return {
    found(peers, nowMs) {
      for (const peer of peers) {
        const target = add(peer, nowMs, undefined);
        if (target === undefined) continue;
        target.byDiscovery = true;
        target.toldAt = nowMs;
      }
    },
    leases(peers, nowMs) {
      for (const peer of peers) {
        const target = add(peer, nowMs, peer.incarnation);
        if (target === undefined) continue;
        // Another process on an address that is known: worth a try at once.
        if (target.incarnation !== peer.incarnation && !target.dialling) {
          target.nextAt = Math.min(target.nextAt, nowMs);
          target.failures = 0;
          target.incarnation = peer.incarnation;
        }
        target.toldAt = nowMs;
      }
      for (const target of targets.values()) {
        const isForgotten = nowMs - target.toldAt > (target.byDiscovery ? discoveryToldMs : leaseToldMs);
        if (isForgotten && isIdle(target)) targets.delete(target.key);
      }
    },
    due: (nowMs) => [...targets.values()].filter((target) => isIdle(target) && target.nextAt <= nowMs),
    failed(target, nowMs) {
      const pause = Math.min(pauseMsMax, pauseMsMin * 2 ** Math.min(target.failures, 10));
      target.failures += 1;
      target.nextAt = nowMs + pause * (0.5 + deps.random());
      target.dialling = false;
    },
    reached(target, incarnation) {
      target.incarnation = incarnation;
      target.failures = 0;
      target.dialling = false;
    },
    all: () => [...targets.values()],
  };
}
