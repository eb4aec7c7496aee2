/**
 * What runs once in the cluster, and the child that runs it. On one node it is the same: that node always wins.
 *
 * Each job is idempotent and works in bounded batches, and each of its writes is under its fence. What is not here runs on every
 * node for a reason: the audit sealer (any number are right at once, and an event is sealed soon after its commit), the batches of
 * last-seen times and the replica's sweep (both of this process's memory), the upkeep of the embedded store (there is one).
 */
import {
  createMembership,
  createRegistry,
  createSingletons,
  deleteDeadRegistrations,
  type Membership,
  type Registry,
  type SingletonKind,
  type Singletons,
} from './cluster/index.ts';
import type { Core } from './core.ts';
import { deleteExpiredRemembered } from './idempotency/index.ts';
import { deleteOldDevices } from './login/index.ts';
import { need, type Parts } from './parts.ts';
import { DatabaseUnavailable } from './platform/database/index.ts';
import type { ChildSpec } from './platform/supervision/index.ts';
import { systemTimers } from './platform/time/index.ts';
import { deleteDeadNodes, deleteExpiredRevocations } from './revocation/index.ts';

export interface ClusterRoom {
  readonly membership: Membership;
  readonly singletons: Singletons;
  readonly registry: Registry;
}

const jobMs = 30_000;
const ledgerBatch = 5_000;
const namesBatch = 1_000;
const stopPatienceMs = 1_500;

/** The names of what this version runs: told to the others with the beat, so that they hand over only what is known here. */
export const jobNames = [
  'session-sweeper',
  'ledger-sweeper',
  'lockout-sweeper',
  'mfa-sweeper',
  'mail-sweeper',
  'node-sweeper',
  'api-key-sweeper',
  'audit-retention',
  'key-rotation',
  'statistics',
] as const;

type Run = SingletonKind['run'];

export function singletonJobs(core: Core): readonly SingletonKind[] {
  const runs: Readonly<Record<(typeof jobNames)[number], Run>> = {
    'session-sweeper': async ({ fenced }) => ({ deleted: await core.sessions.sweep(fenced) }),
    'ledger-sweeper': async ({ fenced, signal }) => {
      let deleted = 0;
      for (;;) {
        const batch = await deleteExpiredRevocations(fenced, ledgerBatch);
        deleted += batch;
        if (batch < ledgerBatch || signal.aborted) return { deleted };
      }
    },
    'mail-sweeper': async ({ fenced }) => ({
      deleted:
        (await core.mail.sweep(fenced)) + (await core.mailSecrets.sweep(fenced)) + (await deleteOldDevices(fenced)),
    }),
    'lockout-sweeper': async ({ fenced }) => ({ deleted: await core.lockout.sweep(fenced) }),
    'mfa-sweeper': async ({ fenced }) => ({
      deleted: await core.mfa.sweep(fenced),
      resealed: await core.mfa.reseal(fenced),
    }),
    'node-sweeper': async ({ fenced }) => ({
      deleted: (await deleteDeadNodes(fenced)) + (await deleteDeadRegistrations(fenced, namesBatch)),
    }),
    // With the answers under idempotency keys: what is sealed in them is not kept longer than it is told again.
    'api-key-sweeper': async ({ fenced }) => ({
      deleted: (await core.apiKeys.sweep(fenced)) + (await deleteExpiredRemembered(fenced, namesBatch)),
    }),
    'audit-retention': async ({ assertFence }) => ({
      deleted: await core.audit.retain(core.settings.auditRetentionDays, assertFence),
    }),
    'key-rotation': ({ assertFence }) => core.keys.maintain(assertFence),
    // Every node tells the figure in its metrics; one of them counts.
    statistics: async () => ({ sessions: await core.sessions.count() }),
  };
  return jobNames.map((kind) => ({ kind, standing: true, everyMs: jobMs, run: runs[kind] }));
}

/** Made once; a child that is started again finds it. */
function createClusterRoom({ node, clock, telemetry, log, late }: Parts, core: Core): ClusterRoom {
  const { db } = core;
  const kinds = singletonJobs(core);
  const membership = createMembership({
    db,
    clock,
    self: node.incarnation,
    links: () => late.mesh?.links() ?? new Map(),
  });
  const singletons = createSingletons({
    db,
    clock,
    timers: systemTimers,
    random: Math.random,
    node,
    kinds,
    membership,
    onRun(name, result, error) {
      telemetry.singletonRan(name, result);
      // That the store is away is told once, by the store.
      if (result === 'failure' && !(error instanceof DatabaseUnavailable))
        log.warn({ singleton: name, error }, 'a run of a singleton failed; it is tried again');
    },
    onChange(what, name) {
      log.debug({ singleton: name, what }, 'a singleton changed hands');
    },
  });
  const registry = createRegistry({ db, singletons, kinds, incarnation: node.incarnation });
  telemetry.watchCluster({ membership, singletons });
  return { membership, singletons, registry };
}

export function singletonsSpec(parts: Parts): ChildSpec {
  const { late } = parts;
  return {
    name: 'singletons',
    restart: 'permanent',
    stopTimeoutMs: 5_000,
    async start({ failed }) {
      late.cluster ??= createClusterRoom(parts, need(late.core, 'the rooms are wired'));
      const { singletons } = late.cluster;
      // Nothing waits for it: what it does is done as well a second later.
      singletons.start(failed);
      return { stop: () => singletons.stop(stopPatienceMs) };
    },
  };
}
