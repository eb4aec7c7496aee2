/**
 * Where a singleton belongs: rendezvous hashing. Every node ranks the nodes alike without a word between them, and a node that
 * comes or goes moves only what comes to it or was on it.
 */
import { createHash } from 'node:crypto';

/** The incarnations, the preferred first. */
export function rankNodes(singleton: string, incarnations: readonly string[]): readonly string[] {
  const score = (incarnation: string): string =>
    createHash('sha256').update(`${singleton}\n${incarnation}`).digest('hex');
  return incarnations
    .map((incarnation) => ({ incarnation, score: score(incarnation) }))
    .toSorted((a, b) => (a.score < b.score ? -1 : 1))
    .map((one) => one.incarnation);
}

/**
 * Whether this node should take one that nobody holds: the preferred one at once, each further one a grace later, in case
 * those before it do not.
 */
export function mayTake(ranked: readonly string[], self: string, freeForMs: number, graceMs: number): boolean {
  const place = ranked.indexOf(self);
  return place !== -1 && freeForMs >= place * graceMs;
}
