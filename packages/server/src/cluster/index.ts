/**
 * The cluster: fast ways between nodes. What must be true of revocation is true without any of them; they make it quick.
 *
 * - Whatever a peer says can only add revocations and tell that it has some; it never makes a node fresh.
 * - Without the ways (all cut, all peers away) nothing waits and nothing fails: the beat reads the ledger.
 */
export type { Discovery, DiscoveryListeners, PeerAddress } from './discovery/discovery.ts';
export type { HintBus } from './hints/bus.ts';
export { createIpcTransport } from './hints/transport.ipc.ts';
export type { HintTransport } from './hints/transport.ts';
