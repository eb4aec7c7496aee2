/** GET /cluster/status */

import type { Freshness, Replica } from '@auth-service/guard';
import { ClusterStatusSchema } from '@auth-service/protocol';
import type { Database } from '../platform/database/index.ts';
import { defineRoute } from '../platform/http/index.ts';
import { type Beat, listNodes, type NodeRow } from '../revocation/index.ts';

export interface ClusterStatusDeps {
  /** Where what nodes share for a moment is: `in-process`, `redis`, `redis-sentinel`, `redis-cluster`. */
  readonly state: string;
  readonly db: Database;
  readonly node: { readonly name: string; readonly incarnation: string };
  readonly beat: Pick<Beat, 'cursor'>;
  readonly replica: Pick<Replica, 'live'>;
  readonly freshness: Pick<Freshness, 'isFresh' | 'lagMs'>;
}

/** Without a beat for this long a node is down. */
const downAfterMs = 4_000;
const suspectAfterMs = 2_000;

export const clusterStatusRoute = (deps: ClusterStatusDeps) =>
  defineRoute({
    method: 'GET',
    path: '/cluster/status',
    summary: 'The nodes of this store, and what this one knows',
    tags: ['operations'],
    access: { kind: 'operations', guard: 'cluster' },
    limit: null,
    unknownFields: 'ignore',
    answers: { 200: { description: 'The status.', schema: ClusterStatusSchema } },
    errors: [],
    async handle() {
      const nodes = await listNodes(deps.db);
      const position = deps.beat.cursor()?.snapshot ?? null;
      return {
        status: 200,
        body: {
          node: deps.node.name,
          clustering: false,
          strategy: null,
          size: nodes.filter((node) => statusOf(node) !== 'down').length,
          nodes: nodes.map((node) => ({
            name: node.name,
            address: node.address,
            version: node.version,
            started_at: node.started_at.toISOString(),
            last_seen_ms: Math.max(0, Math.round(node.last_seen_ms)),
            status: statusOf(node),
            revocation_position: node.incarnation === deps.node.incarnation ? position : node.confirmed,
            lag_ms:
              node.incarnation === deps.node.incarnation
                ? Math.round(deps.freshness.lagMs())
                : Math.max(0, Math.round(node.last_seen_ms)),
            workers: 1,
            load: {},
          })),
          singletons: [],
          revocations: { live: deps.replica.live(), position, stale: !deps.freshness.isFresh() },
          stores: { database: deps.db.kind, sessions: deps.db.kind, state: deps.state },
        },
      };
    },
  });

function statusOf(node: NodeRow): 'up' | 'suspect' | 'down' {
  if (node.last_seen_ms > downAfterMs) return 'down';
  return node.last_seen_ms > suspectAfterMs ? 'suspect' : 'up';
}
