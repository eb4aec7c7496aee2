/**
 * The hint bus: what nodes tell each other about revocations, over every way there is at once.
 *
 * - A hint is applied as a whole or not at all, and acknowledged after that, on the way it came. It never makes a node fresh.
 * - Who is told to look beats at once, and acknowledges when its cursor has passed the transaction.
 * - Each node sends a canary each second on each way: whose canaries arrive, those hints would arrive too.
 * - What cannot be read, is forged or does not fit is dropped and counted. Nothing here waits, throws or grows without end.
 */
import type { RevocationEntry } from '@auth-service/protocol';
import { isVisibleIn } from '../../platform/database/index.ts';
import type { Clock, Timers } from '../../platform/time/index.ts';
import { type Message, readMessage, type Transaction, writeMessage, writeNews } from './messages.rule.ts';
import { createSealer, type Sealer } from './seal.ts';
import type { HintTransport } from './transport.ts';

export interface HintBus {
  /** Starts a way and takes it into use, beside those that are in use. Rejects with what its start rejected with. */
  attach(transport: HintTransport): Promise<{ detach(): Promise<void> }>;
  /** Tells the others what a transaction revoked, after its commit. */
  publish(news: Transaction & { readonly entries: readonly RevocationEntry[] }): void;
  /** Whether each of them was heard on some way just now. */
  healthy(peers: readonly { readonly incarnation: string }[]): boolean;
  /** On which ways a node was heard just now. */
  waysOf(incarnation: string): readonly HintTransport['name'][];
  /** After a beat: acknowledges what others waited for. */
  beaten(): void;
}

export interface HintBusDeps {
  readonly incarnation: string;
  /** `undefined` without clustering: then no way is used on which others could write. */
  readonly secret: string | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
  /** Throws for what is no entry. */
  readonly apply: (entry: RevocationEntry) => void;
  readonly acknowledged: (incarnation: string, xid: string, storeEpoch: string) => void;
  readonly nudge: () => void;
  readonly cursor: () => { readonly snapshot: string; readonly storeEpoch: string } | null;
  readonly onMessage: (direction: 'sent' | 'received', type: MessageType) => void;
}

export type MessageType = 'hint' | 'acknowledgement' | 'membership' | 'refused' | 'dropped';

const canaryMs = 1_000;
const jitter = 0.1;
/** Heard within this: two canaries may be lost or late. */
const heardMs = 2_500;
/** Hints make the ledger be looked at soon, many of them once. */
const nudgeMs = 50;
const nodesMax = 1_000;
const lookersMax = 1_000;
const lookerMs = 10_000;
/** The same text comes on several ways; so many short ones are not read again. */
const readMax = 256;
const readLengthMax = 2_048;

const typeOf = { hint: 'hint', look: 'hint', acknowledgement: 'acknowledgement', canary: 'membership' } as const;

interface Looker extends Transaction {
  readonly from: string;
  readonly way: HintTransport;
  readonly until: number;
}

export function createHintBus(deps: HintBusDeps): HintBus {
  const { clock, timers } = deps;
  const sealer = deps.secret === undefined ? null : createSealer({ ...deps, secret: deps.secret });
  const ways = new Set<HintTransport>();
  const heard = new Map<string, Map<HintTransport['name'], number>>();
  const read = new Map<string, Message>();
  let lookers: Looker[] = [];
  let nudging = false;
  let stopCanaries: (() => void) | null = null;

  /** Whoever reaches Redis could write there; the other ways prove their ends. */
  const sealerFor = (way: HintTransport): Sealer | null => (way.name === 'redis' ? sealer : null);

  function send(way: HintTransport, to: string | null, text: string, type: MessageType): void {
    const sealed = sealerFor(way)?.seal(text) ?? text;
    try {
      if (to === null) way.broadcast(sealed);
      else way.sendTo(to, sealed);
      deps.onMessage('sent', type);
    } catch {
      // A way that breaks its word costs its own message: what was committed is answered all the same.
      deps.onMessage('sent', 'dropped');
    }
  }

  function broadcast(text: string, type: MessageType): void {
    for (const way of ways) send(way, null, text, type);
  }

  function receive(way: HintTransport, claimed: string, given: string): void {
    const sealing = sealerFor(way);
    const opened = sealing === null ? { from: claimed, text: given } : sealing.open(given);
    if (opened === undefined) {
      // Our own come back where a way cannot aim.
      if (!given.startsWith(`1.${deps.incarnation}.`)) deps.onMessage('received', 'refused');
      return;
    }
    if (opened.from === deps.incarnation) return;
    const message = readOnce(opened.text);
    if (message === undefined || !handle(way, opened.from, message)) {
      deps.onMessage('received', 'dropped');
      return;
    }
    note(opened.from, way.name);
    deps.onMessage('received', typeOf[message.kind]);
  }

  function readOnce(text: string): Message | undefined {
    const known = read.get(text);
    if (known !== undefined) return known;
    const message = readMessage(text);
    if (message === undefined || text.length > readLengthMax) return message;
    const [oldest] = read.keys();
    if (read.size >= readMax && oldest !== undefined) read.delete(oldest);
    read.set(text, message);
    return message;
  }

  function handle(way: HintTransport, from: string, message: Message): boolean {
    switch (message.kind) {
      case 'canary':
        return true;
      case 'acknowledgement':
        deps.acknowledged(from, message.xid, message.storeEpoch);
        return true;
      case 'look':
        lookers = [...lookers.slice(1 - lookersMax), { ...message, from, way, until: clock.monotonicMs() + lookerMs }];
        deps.nudge();
        return true;
      case 'hint':
        if (!applyAll(message.entries)) return false;
        acknowledge(way, from, message);
        nudgeSoon();
        return true;
    }
  }

  function applyAll(entries: readonly RevocationEntry[]): boolean {
    try {
      for (const entry of entries) deps.apply(entry);
      return true;
    } catch {
      return false;
    }
  }

  function acknowledge(way: HintTransport, to: string, { xid, storeEpoch }: Transaction): void {
    send(way, to, writeMessage({ kind: 'acknowledgement', xid, storeEpoch }), 'acknowledgement');
  }

  function nudgeSoon(): void {
    if (nudging) return;
    nudging = true;
    timers.after(nudgeMs, () => {
      nudging = false;
      if (ways.size > 0) deps.nudge();
    });
  }

  function note(incarnation: string, way: HintTransport['name']): void {
    const of = heard.get(incarnation) ?? new Map();
    of.set(way, clock.monotonicMs());
    if (heard.has(incarnation)) return;
    if (heard.size >= nodesMax) forget();
    if (heard.size < nodesMax) heard.set(incarnation, of);
  }

  /** Nodes that were not heard for long. */
  function forget(): void {
    const since = clock.monotonicMs() - heardMs;
    for (const [incarnation, times] of heard) {
      if (![...times.values()].some((at) => at >= since)) heard.delete(incarnation);
    }
  }

  function waysOf(incarnation: string): readonly HintTransport['name'][] {
    const since = clock.monotonicMs() - heardMs;
    return [...(heard.get(incarnation) ?? [])].filter(([, at]) => at >= since).map(([name]) => name);
  }

  function canary(): void {
    broadcast(writeMessage({ kind: 'canary' }), 'membership');
    forget();
    stopCanaries = timers.after(canaryMs * (1 + jitter * (2 * deps.random() - 1)), canary);
  }

  return {
    async attach(way) {
      if (way.name === 'redis' && sealer === null) throw new Error('hints by Redis need the cluster secret');
      await way.start((from, text) => {
        if (ways.has(way)) receive(way, from, text);
      });
      ways.add(way);
      stopCanaries?.();
      canary();
      return {
        async detach() {
          ways.delete(way);
          lookers = lookers.filter((one) => one.way !== way);
          if (ways.size === 0) {
            stopCanaries?.();
            stopCanaries = null;
          }
          await way.stop();
        },
      };
    },
    publish({ xid, storeEpoch, entries }) {
      if (ways.size === 0) return;
      broadcast(writeNews({ xid, storeEpoch }, entries), 'hint');
    },
    healthy: (peers) => peers.every((peer) => waysOf(peer.incarnation).length > 0),
    waysOf,
    beaten() {
      const cursor = deps.cursor();
      if (lookers.length === 0 || cursor === null) return;
      const now = clock.monotonicMs();
      const waiting: Looker[] = [];
      for (const looker of lookers) {
        const knows = looker.storeEpoch === cursor.storeEpoch && isVisibleIn(looker.xid, cursor.snapshot);
        if (knows) acknowledge(looker.way, looker.from, looker);
        else if (looker.until > now) waiting.push(looker);
      }
      lookers = waiting;
    },
  };
}
