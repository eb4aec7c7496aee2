/**
 * The children that tie nodes to each other: the mesh and discovery, and the bus that both kinds of hints run over. Without
 * clustering they start and do nothing. None of them is needed for right answers, so none of them waits for a peer.
 */
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import {
  createDiscovery,
  createHintBus,
  createMesh,
  type GossipCount,
  type HintBus,
  type MeshEvent,
  type MessageType,
  ownHost,
  readAddress,
  writeAddress,
} from './cluster/index.ts';
import type { Core, HintWiring } from './core.ts';
import { need, type Parts } from './parts.ts';
import { systemRandom } from './platform/random/index.ts';
import type { ChildSpec } from './platform/supervision/index.ts';
import { systemTimers } from './platform/time/index.ts';

const nothing = { stop: async (): Promise<void> => undefined };

/** With the strategy `redis` hints travel by Redis alone: for more nodes than a full mesh bears. */
const meshSettings = ({ settings: { cluster } }: Parts) => (cluster?.strategy === 'redis' ? undefined : cluster);

export function makeHintBus(parts: Parts, core: Core): HintBus {
  const beat = need(core.beat ?? undefined, 'this process has no beat');
  return createHintBus({
    incarnation: parts.node.incarnation,
    secret: parts.settings.cluster?.secret.reveal(),
    clock: parts.clock,
    timers: systemTimers,
    random: Math.random,
    apply: (entry) => {
      core.replica.apply(entry);
    },
    acknowledged: core.barrier.acknowledged,
    nudge: beat.nudge,
    cursor: beat.cursor,
    onMessage: parts.telemetry.messaged,
  });
}

/** The bus is made after the rooms that speak by it. */
export function lateHints({ late }: Parts): HintWiring {
  return {
    publish: (pending) => late.hints?.publish(pending),
    healthy: (peers) => late.hints?.healthy(peers) ?? false,
    onBeat() {
      late.hints?.beaten();
      late.mesh?.leases(late.core?.beat?.peers() ?? []);
    },
  };
}

export function meshSpec(parts: Parts): ChildSpec {
  const { late, node, log } = parts;
  return {
    name: 'mesh',
    restart: 'permanent',
    stopTimeoutMs: 3_000,
    async start() {
      const cluster = meshSettings(parts);
      if (cluster === undefined) return nothing;
      const before = node.address === null ? undefined : readAddress(node.address);
      const mesh = createMesh({
        incarnation: node.incarnation,
        name: node.name,
        secret: cluster.secret.reveal(),
        // Started again, it is found where it was.
        port: before?.port ?? cluster.port,
        host: cluster.address ?? ownHost(networkInterfaces()),
        clock: parts.clock,
        timers: systemTimers,
        random: Math.random,
        onEvent: (event) => tell(parts, event),
        onCount: parts.telemetry.messaged,
      });
      const beat = need(late.core?.beat ?? undefined, 'this process has no beat');
      const way = await need(late.hints, 'the hint bus is made').attach(mesh);
      late.mesh = mesh;
      node.address = writeAddress(mesh.address());
      log.info({ child: 'mesh', address: node.address }, 'listening for the other nodes');
      mesh.leases(beat.peers());
      beat.nudge();
      return {
        stop() {
          delete late.mesh;
          return way.detach();
        },
      };
    },
  };
}

export function discoverySpec(parts: Parts): ChildSpec {
  const { late, log } = parts;
  const child = 'discovery';
  return {
    name: child,
    restart: 'permanent',
    stopTimeoutMs: 3_000,
    async start() {
      const cluster = meshSettings(parts);
      const strategy = cluster?.strategy;
      // The leases tell their addresses with every beat, whatever the strategy.
      if (cluster === undefined || strategy === undefined || strategy === 'postgres' || strategy === 'redis')
        return nothing;
      const discovery = createDiscovery(
        { ...cluster, strategy },
        {
          self: () => late.mesh?.address(),
          readFile: (path) => readFile(path, 'utf8'),
          networks: networkInterfaces,
          onFound: (peers) => late.mesh?.found(peers),
          onState(state, reason) {
            if (state === 'working') log.info({ child, strategy }, `looks for other nodes: ${reason}`);
            else log.warn({ child, strategy }, `finds no further nodes for now, those that are known stay: ${reason}`);
          },
          onCount(kind) {
            const [direction, type] = gossipCountedAs[kind];
            parts.telemetry.messaged(direction, type);
          },
          onWarning: (text) => log.warn({ child, strategy }, text),
          clock: parts.clock,
          timers: systemTimers,
          random: systemRandom,
        },
      );
      await discovery.start();
      return { stop: () => discovery.stop() };
    },
  };
}

/** In `auth_cluster_messages_total`. */
const gossipCountedAs = {
  sent: ['sent', 'membership'],
  peer: ['received', 'membership'],
  refused: ['received', 'refused'],
  garbage: ['received', 'refused'],
  repeated: ['received', 'dropped'],
  untimely: ['received', 'dropped'],
  dropped: ['received', 'dropped'],
} as const satisfies Readonly<Record<GossipCount, readonly ['sent' | 'received', MessageType]>>;

const leftBecause = {
  closed: 'it closed the link',
  silent: 'it was not heard for three seconds',
  does_not_read: 'it did not read what was sent to it',
  nonsense: 'it sent what is no message',
  other_version: 'it speaks another version',
  replaced: 'another link took its place',
  stopped: 'this node stops',
} as const;

/** What an operator reads of the mesh. */
function tell({ log }: Parts, event: MeshEvent): void {
  const child = 'mesh';
  switch (event.kind) {
    case 'joined':
      log.info({ child, peer: event.peer.name, address: event.peer.address }, 'a node has joined');
      break;
    case 'left':
      log.info(
        { child, peer: event.peer.name, address: event.peer.address },
        `a node is gone: ${leftBecause[event.why]}`,
      );
      break;
    case 'unreachable':
      log.warn(
        { child, address: event.address, reason: event.reason },
        'a node cannot be reached on CLUSTER_PORT; revocations reach it by the database',
      );
      break;
    case 'wrong_secret':
      log.error(
        { child, address: event.address },
        event.dialled
          ? 'the node there has another CLUSTER_SECRET; the two will not be linked'
          : 'somebody there tried to join with another CLUSTER_SECRET',
      );
      break;
    case 'other_version':
      log.warn({ child, address: event.address }, 'the node there speaks another version of the mesh');
      break;
  }
}

/** How long a node that has just come may take to be linked. */
const graceMs = 3_000;

/** The check `cluster` of `/health`: degraded while a node that may vouch is not linked. */
export function createClusterCheck({ settings, late, clock }: Parts): () => Readonly<Record<string, unknown>> & {
  readonly status: 'off' | 'ok' | 'degraded';
} {
  let since = new Map<string, number>();
  return () => {
    if (settings.cluster === undefined) return { status: 'off' };
    const peers = late.core?.beat?.peers() ?? [];
    const now = clock.monotonicMs();
    since = new Map(peers.map(({ incarnation }) => [incarnation, since.get(incarnation) ?? now]));
    const isLinked = (incarnation: string): boolean =>
      late.mesh?.isLinked(incarnation) ?? (late.hints?.waysOf(incarnation) ?? []).length > 0;
    const apart = peers.filter((peer) => !isLinked(peer.incarnation));
    const overdue = apart.filter(({ incarnation }) => now - (since.get(incarnation) ?? now) >= graceMs);
    return {
      status: overdue.length === 0 ? 'ok' : 'degraded',
      nodes: peers.length + 1,
      linked: peers.length - apart.length,
      not_linked: apart.map((peer) => peer.name),
    };
  };
}
