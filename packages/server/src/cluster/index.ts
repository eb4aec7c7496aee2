/**
 * The cluster: who else is here, what runs where, and fast ways between nodes. What must be true of revocation is true without
 * any of them; they make it quick.
 *
 * - Whatever a peer says can only add revocations and tell that it has some; it never makes a node fresh.
 * - Without the ways (all cut, all peers away) nothing waits and nothing fails: the beat reads the ledger.
 * - What runs once in the cluster runs on one node, and goes on elsewhere when that ends. Two may think that it is theirs; only
 *   one of them can write. Without the database nothing of it runs.
 */
export type { Discovery, DiscoveryListeners, PeerAddress } from './discovery/discovery.ts';
export type { GossipCount } from './discovery/gossip.ts';
export { createDiscovery } from './discovery/strategies.ts';
export { createHintBus, type HintBus, type MessageType } from './hints/bus.ts';
export { createIpcTransport } from './hints/transport.ipc.ts';
export { createRedisTransport } from './hints/transport.redis.ts';
export type { HintTransport } from './hints/transport.ts';
export { createMembership, type LinkState, type Member, type Membership } from './membership/membership.ts';
export { ownHost, readAddress, writeAddress } from './mesh/address.rule.ts';
export { createMesh, type Mesh, type MeshEvent } from './mesh/mesh.ts';
export type { Held } from './singletons/hold.ts';
export { createRegistry, type Entry, type Registration, type Registry } from './singletons/registry.ts';
export type { RunResult, SingletonKind } from './singletons/runner.ts';
export { deleteDeadRegistrations } from './singletons/singletons.sql.ts';
export { createSingletons, type Singletons, type SingletonTimes } from './singletons/singletons.ts';
