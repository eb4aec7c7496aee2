/** `static`: the addresses of `CLUSTER_PEERS`, told again and again, since a peer that went may come back. */
import type { Discovery, PeerAddress } from './discovery.ts';
import { createPolling, type PollingDeps } from './polling.ts';

export const createStaticDiscovery = (peers: readonly PeerAddress[], deps: PollingDeps): Discovery =>
  createPolling({ where: 'CLUSTER_PEERS', look: async () => peers }, deps);
