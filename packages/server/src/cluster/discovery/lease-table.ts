/**
 * `postgres` and `redis`: the addresses that the nodes write down beside their leases. While the database is away nobody is
 * found and nobody is lost.
 */
import type { Discovery, PeerAddress } from './discovery.ts';
import { createPolling, type PollingDeps } from './polling.ts';

export type ListLeases = () => Promise<readonly PeerAddress[]>;

/** Shorter than elsewhere: the question costs an index scan, and a node that joins is to be linked soon. */
const intervalMs = 2_000;

export const createLeaseTableDiscovery = (listLeases: ListLeases, deps: PollingDeps): Discovery =>
  createPolling(
    { where: 'the table of leases', look: (signal) => unlessAborted(listLeases(), signal), intervalMs },
    deps,
  );

/** A statement cannot be called back: its answer is left to itself. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal.addEventListener('abort', aborted, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
