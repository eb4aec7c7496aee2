/** Discovery, as the settings ask for it, at the mesh's service: what it finds goes there, what it says goes to log and metrics. */
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { createDiscovery, type GossipCount, type PeerAddress, readPeerAddress } from './cluster/index.ts';
import type { Parts } from './parts.ts';
import { systemRandom } from './platform/random/index.ts';
import type { RunningChild } from './platform/supervision/index.ts';
import { systemTimers, type Timers } from './platform/time/index.ts';

export interface DiscoveringMesh {
  /** Where it listens, as the others are told; `undefined` until it does. */
  address(): PeerAddress | undefined;
  /** Called again and again with what is there, whether it is known or not. */
  found(peers: readonly PeerAddress[]): void;
}

type DiscoveryParts = Pick<Parts, 'settings' | 'log' | 'clock'> & {
  readonly late: { readonly core?: { readonly beat: { peers(): readonly { address: string | null }[] } | undefined } };
  readonly telemetry: Pick<Parts['telemetry'], 'messaged'>;
};

/** In `auth_cluster_messages_total`. */
const countedAs = {
  sent: ['sent', 'membership'],
  peer: ['received', 'membership'],
  refused: ['received', 'refused'],
  garbage: ['received', 'refused'],
  repeated: ['received', 'ignored'],
  untimely: ['received', 'ignored'],
  dropped: ['received', 'ignored'],
} as const satisfies Readonly<Record<GossipCount, readonly [string, string]>>;

export async function startDiscovery(
  { settings, log, clock, late, telemetry }: DiscoveryParts,
  mesh: DiscoveringMesh,
  timers: Timers = systemTimers,
): Promise<RunningChild> {
  const { cluster } = settings;
  if (cluster === undefined) return { stop: async () => undefined };
  const about = { child: 'discovery', strategy: cluster.strategy };
  const discovery = createDiscovery(cluster, {
    self: () => mesh.address(),
    // What the beat read last: no statement of its own, and while the database is away, whom it knew before.
    listLeases: async () =>
      (late.core?.beat?.peers() ?? []).flatMap(({ address }) => readPeerAddress(address ?? '') ?? []),
    readFile: (path) => readFile(path, 'utf8'),
    networks: networkInterfaces,
    onFound: (peers) => mesh.found(peers),
    onState: (state, reason) => {
      if (state === 'working') log.info(about, `looks for other nodes: ${reason}`);
      else log.warn(about, `finds no further nodes for now: ${reason}`);
    },
    onCount(kind) {
      const [direction, type] = countedAs[kind];
      telemetry.messaged(direction, type);
    },
    onWarning: (text) => log.warn(about, text),
    clock,
    timers,
    random: systemRandom,
  });
  await discovery.start();
  return discovery;
}
