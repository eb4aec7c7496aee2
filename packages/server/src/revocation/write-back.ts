/**
 * After a fail-over that lost commits: what this node still holds and the ledger does not is written back into it.
 *
 * - Nothing held is written twice, but by two nodes at once: entries are idempotent, and expire as they would have.
 * - In batches that end by themselves; a failure throws, and whoever called does not vouch and begins again.
 * - What no node holds any more is lost with the store: this narrows the gap, it does not close it.
 */
import type { Replica } from '@auth-service/guard';
import type { RevocationEntry } from '@auth-service/protocol';
import type { Queryable } from '../platform/database/index.ts';
import { appendAgain } from './ledger.sql.ts';

const batchSize = 5_000;
/** Compared in one go, so that a million entries do not hold the loop. */
const breathe = 20_000;

export interface WriteBackDeps {
  readonly held: Pick<Replica, 'entries'>;
  /** Holds for a moment what the ledger has, to compare. */
  readonly newReplica: () => Pick<Replica, 'apply' | 'applyMany'>;
}

/** `ledger`: every live entry that the store has now. Answers how many it had not. */
export async function writeBack(
  on: Queryable,
  ledger: readonly RevocationEntry[],
  deps: WriteBackDeps,
): Promise<number> {
  const missing = await findMissing(ledger, deps);
  for (let start = 0; start < missing.length; start += batchSize) {
    await appendAgain(on, missing.slice(start, start + batchSize));
  }
  return missing.length;
}

async function findMissing(ledger: readonly RevocationEntry[], deps: WriteBackDeps): Promise<RevocationEntry[]> {
  const known = deps.newReplica();
  for (let start = 0; start < ledger.length; start += breathe) {
    known.applyMany(ledger.slice(start, start + breathe));
    await pause();
  }
  const missing: RevocationEntry[] = [];
  let compared = 0;
  for (const entry of deps.held.entries()) {
    // It is news to what holds the ledger's entries: the ledger has it not, or with less reach.
    if (known.apply(entry)) missing.push(entry);
    compared += 1;
    if (compared % breathe === 0) await pause();
  }
  return missing;
}

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
