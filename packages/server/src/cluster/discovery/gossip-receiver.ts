/**
 * Which datagrams are believed: announcements of who holds the cluster's secret, each once, and while they are young.
 *
 * - Replay: of each sender only counters above the last one are taken. A sender is remembered for as long as an announcement
 *   of it could still be young; while the memory is full of such senders, new ones are turned away rather than old ones forgotten.
 * - Young is what was sent within `windowMs` of our own wall clock, before or after: machines whose clocks are further apart do
 *   not find each other by gossip (nothing else depends on it).
 * - Work is bounded: no more than `opensPerSecondMax` datagrams are opened in a second, counted apart for senders that are known,
 *   so strangers do not drown them.
 */
import type { Clock } from '../../platform/time/index.ts';
import type { PeerAddress } from './discovery.ts';
import { datagramBytesMax, openAnnouncement, readEnvelope, senderKeyOf } from './gossip-datagram.rule.ts';
import { isPeerAddress } from './polling.ts';

/**
 * `own`: our own words. `garbage`: no announcement. `refused`: sealed by somebody who does not hold the secret, or changed on
 * the way. `repeated`: heard before. `untimely`: outside of the window. `dropped`: too many at once.
 */
export type Heard =
  | { readonly kind: 'peer'; readonly peer: PeerAddress; readonly isNew: boolean }
  | { readonly kind: 'own' | 'garbage' | 'refused' | 'repeated' | 'dropped' }
  | { readonly kind: 'untimely'; readonly aheadMs: number };

export interface GossipReceiver {
  hear(datagram: Buffer): Heard;
  /** Senders in memory. */
  readonly senders: () => number;
}

export const windowMs = 120_000;
export const sendersMax = 1_024;
export const opensPerSecondMax = 500;

interface Sender {
  readonly key: Buffer;
  counter: bigint;
  heardAtMs: number;
}

export function createGossipReceiver(options: {
  readonly clusterKey: Uint8Array;
  /** Our own id. */
  readonly sender: string;
  readonly clock: Clock;
}): GossipReceiver {
  const { clock } = options;
  /** In the order in which they were last heard, so the first one is the one to forget. */
  const senders = new Map<string, Sender>();
  let secondFromMs = Number.NEGATIVE_INFINITY;
  const opens = { known: 0, unknown: 0 };

  const mayOpen = (whose: 'known' | 'unknown', nowMs: number): boolean => {
    if (nowMs - secondFromMs >= 1_000) {
      secondFromMs = nowMs;
      opens.known = 0;
      opens.unknown = 0;
    }
    opens[whose] += 1;
    return opens[whose] <= opensPerSecondMax;
  };

  const hasRoom = (nowMs: number): boolean => {
    for (const [id, { heardAtMs }] of senders) {
      // What it sent last was at most one window ahead of our clock, so it is old after two.
      if (nowMs - heardAtMs <= 2 * windowMs) break;
      senders.delete(id);
    }
    return senders.size < sendersMax;
  };

  return {
    senders: () => senders.size,
    hear(datagram) {
      const envelope = datagram.length > datagramBytesMax ? undefined : readEnvelope(datagram);
      if (envelope === undefined) return { kind: 'garbage' };
      if (envelope.sender === options.sender) return { kind: 'own' };
      const nowMs = clock.monotonicMs();
      const known = senders.get(envelope.sender);
      if (known !== undefined && envelope.counter <= known.counter) return { kind: 'repeated' };
      if (!mayOpen(known === undefined ? 'unknown' : 'known', nowMs)) return { kind: 'dropped' };
      const key = known?.key ?? senderKeyOf(options.clusterKey, envelope.sender);
      const announcement = openAnnouncement(datagram, key);
      if (announcement === undefined) return { kind: 'refused' };
      const aheadMs = announcement.sentAtMs - clock.wallMs();
      if (Math.abs(aheadMs) > windowMs) return { kind: 'untimely', aheadMs };
      if (known === undefined && !hasRoom(nowMs)) return { kind: 'dropped' };
      senders.delete(envelope.sender);
      senders.set(envelope.sender, { key, counter: envelope.counter, heardAtMs: nowMs });
      const { host, port } = announcement;
      if (!isPeerAddress({ host, port })) return { kind: 'garbage' };
      return { kind: 'peer', peer: { host, port }, isNew: known === undefined };
    },
  };
}
