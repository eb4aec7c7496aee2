/**
 * The strategy that `CLUSTER_STRATEGY` names, made of what the composition root hands over. `postgres` and `redis` are not
 * among them: the addresses of the leases come with each beat, whatever the strategy, and need nobody who looks.
 */
import type { Random } from '../../platform/random/index.ts';
import type { Clock, Timers } from '../../platform/time/index.ts';
import type { Discovery, DiscoveryListeners, PeerAddress } from './discovery.ts';
import { createDnsDiscovery } from './dns.ts';
import { createGossipDiscovery, type GossipCount, type GossipGroup } from './gossip.ts';
import { createKubernetesDiscovery } from './kubernetes.ts';
import { gossipInterfaces, type NetworkAddress } from './networks.rule.ts';
import { createStaticDiscovery } from './static.ts';

/** What the settings say of it. */
export interface DiscoverySettings {
  readonly strategy: 'gossip' | 'kubernetes' | 'kubernetes-dns' | 'dns' | 'static';
  readonly secret: { reveal(): string };
  /** Of the mesh; where the others listen too, unless their record or announcement says otherwise. */
  readonly port: number;
  readonly peers: readonly PeerAddress[];
  readonly dnsQuery: string | undefined;
  readonly gossip: GossipGroup;
  readonly kubernetes: {
    readonly selector: string | undefined;
    readonly namespace: string | undefined;
    readonly apiServer: PeerAddress | undefined;
  };
}

export interface DiscoveryDeps extends DiscoveryListeners {
  /** Where this node's mesh listens; `undefined` until it does. */
  readonly self: () => PeerAddress | undefined;
  readonly readFile: (path: string) => Promise<string>;
  readonly networks: () => Readonly<Record<string, readonly NetworkAddress[] | undefined>>;
  readonly onCount: (kind: GossipCount) => void;
  readonly onWarning: (text: string) => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Pick<Random, 'bytes'>;
}

export function createDiscovery(settings: DiscoverySettings, deps: DiscoveryDeps): Discovery {
  switch (settings.strategy) {
    case 'static':
      return createStaticDiscovery(settings.peers, deps);
    case 'dns':
    case 'kubernetes-dns': {
      const name = given(settings.dnsQuery, 'CLUSTER_DNS_QUERY');
      const prefersMeshPort = settings.strategy === 'kubernetes-dns';
      return createDnsDiscovery({ name, port: settings.port, prefersMeshPort }, deps);
    }
    case 'kubernetes': {
      const { namespace } = settings.kubernetes;
      const selector = given(settings.kubernetes.selector, 'KUBERNETES_SELECTOR');
      const apiServer = given(settings.kubernetes.apiServer, 'KUBERNETES_SERVICE_HOST');
      return createKubernetesDiscovery({ selector, namespace, port: settings.port, apiServer }, deps);
    }
    case 'gossip':
      return createGossipDiscovery(settings.gossip, {
        ...deps,
        secret: settings.secret.reveal(),
        seeds: settings.peers,
        interfaces: () => gossipInterfaces(deps.self()?.host, deps.networks()),
      });
  }
}

/** The settings hold it together with the strategy, so its absence is a mistake of ours. */
function given<T>(value: T | undefined, variable: string): T {
  if (value === undefined) throw new Error(`${variable} is always set with this strategy`);
  return value;
}
