/** GET /cluster/status */

import type { Freshness, Replica } from '@auth-service/guard';
import { ClusterStatusSchema } from '@auth-service/protocol';
import type { Member, Membership, Registry } from '../cluster/index.ts';
import { defineRoute } from '../platform/http/index.ts';
import type { Beat } from '../revocation/index.ts';

export interface ClusterStatusDeps {
  /** Where things are: the database's kind, sessions', and that of what nodes share for a moment (`in-process`, `redis`, …). */
  readonly stores: { readonly database: string; readonly sessions: string; readonly state: string };
  readonly node: { readonly name: string; readonly incarnation: string };
  /** `undefined` without clustering. */
  readonly clustering: { readonly strategy: string } | undefined;
  readonly membership: Pick<Membership, 'read'>;
  readonly registry: Pick<Registry, 'list'>;
  readonly beat: Pick<Beat, 'cursor'>;
  readonly replica: Pick<Replica, 'live'>;
  readonly freshness: Pick<Freshness, 'isFresh' | 'lagMs'>;
}

export const clusterStatusRoute = (deps: ClusterStatusDeps) =>
  defineRoute({
    method: 'GET',
    path: '/cluster/status',
    summary: 'The nodes of this store, what runs on which of them, and what this one knows',
    tags: ['operations'],
    access: { kind: 'operations', guard: 'cluster' },
    limit: null,
    unknownFields: 'ignore',
    answers: { 200: { description: 'The status.', schema: ClusterStatusSchema } },
    errors: [],
    async handle() {
      const [members, entries] = await Promise.all([deps.membership.read(), deps.registry.list()]);
      const position = deps.beat.cursor()?.snapshot ?? null;
      return {
        status: 200,
        body: {
          node: deps.node.name,
          clustering: deps.clustering !== undefined,
          strategy: deps.clustering?.strategy ?? null,
          size: members.filter((member) => member.status !== 'down').length,
          nodes: members.map((member) => {
            const isSelf = member.incarnation === deps.node.incarnation;
            return {
              ...describe(member),
              revocation_position: isSelf ? position : member.confirmed,
              lag_ms: whole(isSelf ? deps.freshness.lagMs() : member.lastSeenMs),
            };
          }),
          singletons: entries
            .filter((entry) => entry.kind !== null)
            .map((entry) => ({
              name: entry.name,
              node: entry.node,
              since: entry.since?.toISOString() ?? null,
              last_run: entry.lastRun?.toISOString() ?? null,
              last_result: entry.lastResult,
            })),
          revocations: { live: deps.replica.live(), position, stale: !deps.freshness.isFresh() },
          stores: deps.stores,
        },
      };
    },
  });

function describe(member: Member) {
  const { workers, load } = member.stats;
  return {
    name: member.name,
    address: member.address,
    version: member.version,
    started_at: member.started_at.toISOString(),
    last_seen_ms: whole(member.lastSeenMs),
    status: member.status,
    workers: typeof workers === 'number' ? workers : 1,
    load: isFigures(load) ? load : {},
  };
}

/** What another node wrote is looked at before it is told on. */
function isFigures(load: unknown): load is Record<string, number> {
  return typeof load === 'object' && load !== null && Object.values(load).every((figure) => typeof figure === 'number');
}

const whole = (ms: number): number => Math.max(0, Math.round(ms));
