/**
 * `gossip`: each node says by UDP multicast, every few seconds, where it can be reached; who hears a new voice answers soon, so
 * a node that joins knows the others at once. `CLUSTER_PEERS`, where given, are told beside.
 *
 * - Only announcements of who holds the cluster's secret are believed (`gossip-receiver.ts`); whatever else arrives is counted,
 *   and told in one line at most.
 * - Sockets follow the machine's addresses; the group hears on its own address alone, so nothing that is sent to this machine
 *   otherwise is read. What cannot be sent or joined is tried again.
 */
import { createSocket, type Socket } from 'node:dgram';
import type { Random } from '../../platform/random/index.ts';
import type { Clock, Timers } from '../../platform/time/index.ts';
import type { Discovery, DiscoveryListeners, PeerAddress } from './discovery.ts';
import {
  type Announcement,
  clusterKeyOf,
  saltBytes,
  sealAnnouncement,
  senderBytes,
  senderKeyOf,
} from './gossip-datagram.rule.ts';
import { createGossipReceiver, type Heard } from './gossip-receiver.ts';
import { jitter } from './polling.ts';

export interface GossipGroup {
  readonly address: string;
  readonly port: number;
  /** Hops: `0` stays on this machine, `1` on the local network. */
  readonly ttl: number;
}

export type GossipCount = Exclude<Heard['kind'], 'own'> | 'sent';

export interface GossipDeps extends DiscoveryListeners {
  readonly secret: string;
  readonly seeds: readonly PeerAddress[];
  /** What the others are told; `undefined` while it is not known. */
  readonly self: () => PeerAddress | undefined;
  /** IPv4 addresses of this machine, one for each network on which to speak and hear. */
  readonly interfaces: () => readonly string[];
  readonly onCount: (kind: GossipCount) => void;
  /** What an operator should know, once for each kind. */
  readonly onWarning: (text: string) => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Pick<Random, 'bytes'>;
}

const intervalMs = 3_000;
/** At the start a datagram may be lost, or sent before the others listen. */
const firstRounds = 3;
const firstIntervalMs = 500;
/** A node that hears a new voice answers within this, so that not all answer in one moment. */
const answerMsMax = 250;
const interfacesMax = 16;

export function createGossipDiscovery(group: GossipGroup, deps: GossipDeps): Discovery {
  const { clock, timers, random } = deps;
  const clusterKey = clusterKeyOf(deps.secret);
  const sender = random.bytes(senderBytes).toString('hex');
  const senderKey = senderKeyOf(clusterKey, sender);
  const receiver = createGossipReceiver({ clusterKey, sender, clock });
  const ears = createEars(group, (datagram) => take(receiver.hear(datagram)));
  const mouths = createMouths(group);
  const warned = new Set<string>();
  let state: 'working' | 'failing' | undefined;
  let stopped = false;
  let rounds = 0;
  let counter = 0n;
  let cancelRound = (): void => undefined;
  let cancelAnswer: (() => void) | undefined;

  const become = (next: 'working' | 'failing', reason: string): void => {
    if (stopped || state === next) return;
    state = next;
    deps.onState(next, reason);
  };

  const warnOnce = (kind: string, text: string): void => {
    if (warned.has(kind)) return;
    warned.add(kind);
    deps.onWarning(text);
  };

  const take = (heard: Heard): void => {
    if (stopped || heard.kind === 'own') return;
    deps.onCount(heard.kind);
    if (heard.kind === 'peer') {
      const self = deps.self();
      if (heard.peer.host === self?.host && heard.peer.port === self.port) return;
      if (heard.isNew) answerSoon();
      deps.onFound([heard.peer]);
    } else if (heard.kind === 'refused') {
      warnOnce(
        heard.kind,
        'somebody announces nodes with another CLUSTER_SECRET to this group; they are ignored and counted',
      );
    } else if (heard.kind === 'untimely') {
      const seconds = Math.round(heard.aheadMs / 1_000);
      warnOnce(
        heard.kind,
        `a node's announcements are ignored: its clock is ${seconds} s ahead of this one's; set the clocks`,
      );
    }
  };

  /** What is thrown on the way (a machine without free descriptors cannot list its networks) costs this round alone. */
  const announce = async (): Promise<void> => {
    try {
      await announceOnce();
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown';
      become('failing', `gossip, ${group.address}:${group.port}: ${reason}`);
    }
  };

  const announceOnce = async (): Promise<void> => {
    const places = deps.interfaces().slice(0, interfacesMax);
    const problems = [...(await ears.follow(places)), ...(await mouths.follow(places))];
    const self = deps.self();
    if (self === undefined) return;
    const said: Announcement = { ...self, sentAtMs: clock.wallMs() };
    const sent = await mouths.say(() => {
      counter += 1n;
      return sealAnnouncement(said, { sender, counter }, { senderKey, salt: random.bytes(saltBytes) });
    });
    if (stopped) return;
    for (let count = 0; count < sent.count; count++) deps.onCount('sent');
    const where = `${group.address}:${group.port}`;
    if (sent.count > 0 && ears.areOpen()) become('working', `announces this node to ${where}`);
    else
      become(
        'failing',
        `gossip, ${where}: ${[...problems, ...sent.problems][0] ?? 'this machine has no IPv4 network'}`,
      );
  };

  /** One at a time: a round that is under way is the answer too. */
  let running: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    running = running.then(() => (stopped ? undefined : work()));
    return running;
  };

  const answerSoon = (): void => {
    cancelAnswer ??= timers.after(answerMsMax * (jitter(random) / 0.2), () => {
      cancelAnswer = undefined;
      void inTurn(announce);
    });
  };

  const round = async (): Promise<void> => {
    rounds += 1;
    if (deps.seeds.length > 0) deps.onFound(deps.seeds);
    await announce();
    if (stopped) return;
    const waitMs = rounds < firstRounds ? firstIntervalMs : intervalMs;
    cancelRound = timers.after(waitMs * (1 - jitter(random)), () => void inTurn(round));
  };

  return {
    async start() {
      void inTurn(round);
    },
    async stop() {
      stopped = true;
      cancelRound();
      cancelAnswer?.();
      await running;
      await Promise.all([ears.close(), mouths.close()]);
    },
  };
}

interface Ears {
  /** Opens, and joins the group on each of `places`; answers what went wrong. */
  follow(places: readonly string[]): Promise<readonly string[]>;
  areOpen(): boolean;
  close(): Promise<void>;
}

function createEars(group: GossipGroup, onDatagram: (datagram: Buffer) => void): Ears {
  let socket: Socket | undefined;
  const joined = new Set<string>();
  const drop = (broken: Socket): void => {
    if (socket !== broken) return;
    socket = undefined;
    joined.clear();
    broken.close();
  };
  return {
    areOpen: () => socket !== undefined && joined.size > 0,
    async follow(places) {
      if (socket === undefined) {
        const opened = createSocket({ type: 'udp4', reuseAddr: true });
        opened.on('message', onDatagram);
        const problem = await bind(opened, group.port, group.address);
        if (problem !== undefined) return [problem];
        socket = opened;
        opened.on('error', () => drop(opened));
      }
      const problems: string[] = [];
      for (const gone of [...joined].filter((place) => !places.includes(place))) {
        joined.delete(gone);
        attempt(() => socket?.dropMembership(group.address, gone));
      }
      for (const place of places.filter((each) => !joined.has(each))) {
        const problem = attempt(() => socket?.addMembership(group.address, place));
        if (problem === undefined) joined.add(place);
        else problems.push(problem);
      }
      return problems;
    },
    async close() {
      const closing = socket;
      socket = undefined;
      if (closing !== undefined) await new Promise<void>((resolve) => closing.close(resolve));
    },
  };
}

interface Mouths {
  follow(places: readonly string[]): Promise<readonly string[]>;
  /** A datagram of its own on each network: the same one twice would be a replay. */
  say(datagram: () => Buffer): Promise<{ readonly count: number; readonly problems: readonly string[] }>;
  close(): Promise<void>;
}

function createMouths(group: GossipGroup): Mouths {
  const sockets = new Map<string, Socket>();
  const closeAt = async (place: string): Promise<void> => {
    const socket = sockets.get(place);
    sockets.delete(place);
    if (socket !== undefined) await new Promise<void>((resolve) => socket.close(() => resolve()));
  };
  const openAt = async (place: string): Promise<string | undefined> => {
    const socket = createSocket({ type: 'udp4' });
    const problem = await bind(socket, 0, place);
    if (problem !== undefined) return problem;
    const refused = attempt(() => {
      socket.setMulticastInterface(place);
      socket.setMulticastTTL(group.ttl);
      socket.setMulticastLoopback(true);
    });
    if (refused !== undefined) {
      socket.close();
      return refused;
    }
    socket.on('error', () => void closeAt(place));
    sockets.set(place, socket);
    return undefined;
  };
  return {
    async follow(places) {
      await Promise.all([...sockets.keys()].filter((place) => !places.includes(place)).map(closeAt));
      const opened = await Promise.all(places.filter((place) => !sockets.has(place)).map(openAt));
      return opened.filter((problem) => problem !== undefined);
    },
    async say(datagram) {
      const problems = await Promise.all(
        [...sockets.values()].map(
          (socket) =>
            new Promise<string | undefined>((resolve) => {
              const problem = attempt(() => {
                socket.send(datagram(), group.port, group.address, (error) => resolve(error?.message));
              });
              if (problem !== undefined) resolve(problem);
            }),
        ),
      );
      const told = problems.filter((problem) => problem !== undefined);
      return { count: problems.length - told.length, problems: told };
    },
    async close() {
      await Promise.all([...sockets.keys()].map(closeAt));
    },
  };
}

/** Answers what went wrong; the socket is closed then. */
function bind(socket: Socket, port: number, address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const failed = (error: Error): void => {
      socket.close();
      resolve(error.message);
    };
    socket.once('error', failed);
    socket.bind({ port, address, exclusive: true }, () => {
      socket.off('error', failed);
      resolve(undefined);
    });
  });
}

function attempt(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'unknown';
  }
}
