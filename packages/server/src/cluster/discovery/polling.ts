/**
 * Looks again and again, one look at a time, until it is stopped: what every strategy but gossip does.
 *
 * - A look ends within `lookMsMax`. A look that fails takes nothing away, and is tried again, later each time.
 * - No more than `peersMax` addresses are told of one look; our own is left out, each is told once.
 * - `onState` is called when looking begins or ceases to work, and not for each look.
 * - After `stop` has resolved nothing is under way and nobody is told anything.
 */
import type { Random } from '../../platform/random/index.ts';
import type { Timers } from '../../platform/time/index.ts';
import type { Discovery, DiscoveryListeners, PeerAddress } from './discovery.ts';

export interface PollingDeps extends DiscoveryListeners {
  /** Our own address, which is no peer; `undefined` while it is not known. */
  readonly self: () => PeerAddress | undefined;
  readonly timers: Timers;
  readonly random: Pick<Random, 'bytes'>;
}

export interface Look {
  /** For the log: where it looks. */
  readonly where: string;
  /** Settles soon after `signal` is aborted. The message of what it throws is shown to operators. */
  readonly look: (signal: AbortSignal) => Promise<readonly PeerAddress[]>;
  readonly intervalMs?: number;
}

export const peersMax = 256;
export const lookMsMax = 5_000;
const intervalMsDefault = 5_000;
const firstRetryMs = 500;
const retryMsMax = 30_000;
const reasonCharactersMax = 300;

export function createPolling({ where, look, intervalMs = intervalMsDefault }: Look, deps: PollingDeps): Discovery {
  let state: 'working' | 'failing' | undefined;
  let failures = 0;
  let stopped = false;
  let cancelTimer = (): void => undefined;
  let abort: AbortController | undefined;
  let running: Promise<void> = Promise.resolve();

  const become = (next: 'working' | 'failing', reason: string): void => {
    if (state === next) return;
    state = next;
    deps.onState(next, reason.slice(0, reasonCharactersMax));
  };

  const lookOnce = async (): Promise<void> => {
    const controller = new AbortController();
    abort = controller;
    const cancelDeadline = deps.timers.after(lookMsMax, () => {
      controller.abort(new Error(`no answer within ${lookMsMax} ms`));
    });
    try {
      const found = await look(controller.signal);
      if (stopped) return;
      failures = 0;
      const peers = sane(found, deps.self());
      become('working', `${where} tells ${peers.length} other ${peers.length === 1 ? 'address' : 'addresses'}`);
      if (peers.length > 0) deps.onFound(peers);
    } catch (error) {
      if (stopped) return;
      failures += 1;
      // What an aborted request throws says that it was aborted; why is in the signal.
      const cause: unknown = controller.signal.aborted ? controller.signal.reason : error;
      become('failing', `${where}: ${cause instanceof Error ? cause.message : 'unknown'}`);
    } finally {
      cancelDeadline();
    }
  };

  const next = (): void => {
    if (stopped) return;
    const waitMs = failures === 0 ? intervalMs : Math.min(retryMsMax, firstRetryMs * 2 ** Math.min(failures - 1, 10));
    cancelTimer = deps.timers.after(waitMs * (1 - jitter(deps.random)), begin);
  };
  const round = async (): Promise<void> => {
    await lookOnce();
    next();
  };
  const begin = (): void => {
    running = round();
  };

  return {
    async start() {
      begin();
    },
    async stop() {
      stopped = true;
      cancelTimer();
      abort?.abort(new Error('it was stopped'));
      await running;
    },
  };
}

/** 0 to 0.2, so that nodes that started together do not ask together for ever. */
export const jitter = (random: Pick<Random, 'bytes'>): number => (random.bytes(2).readUInt16BE() / 65_535) * 0.2;

/** A name in DNS or a literal address; nothing that could mean more than that where it is used. */
const hostPattern = /^[A-Za-z0-9._:%-]{1,253}$/;

export const isPeerAddress = ({ host, port }: PeerAddress): boolean =>
  Number.isInteger(port) && port >= 1 && port <= 65_535 && hostPattern.test(host);

function sane(found: readonly PeerAddress[], self: PeerAddress | undefined): readonly PeerAddress[] {
  const peers = new Map<string, PeerAddress>();
  for (const { host, port } of found) {
    if (peers.size >= peersMax) break;
    if (!isPeerAddress({ host, port }) || (host === self?.host && port === self.port)) continue;
    peers.set(`${host} ${port}`, { host, port });
  }
  return [...peers.values()];
}
