/** What the lease table tells of the nodes. */
import { type Queryable, statement } from '../../platform/database/index.ts';

export interface NodeRow {
  readonly incarnation: string;
  readonly name: string;
  readonly address: string | null;
  readonly version: string;
  readonly started_at: Date;
  /** Since its latest beat, on the database's clock; negative when that clock went back since. */
  readonly last_seen_ms: number;
  /** The snapshot that it has confirmed. */
  readonly confirmed: string | null;
  /** What it told of itself with its latest beat. */
  readonly stats: Readonly<Record<string, unknown>>;
}

const list = statement<[], NodeRow>(
  'cluster_nodes_list',
  `select incarnation, name, address, version, started_at, confirmed::text as confirmed, stats,
          (extract(epoch from clock_timestamp() - beat_at) * 1000)::float8 as last_seen_ms
     from cluster_nodes where beat_at > clock_timestamp() - interval '10 minutes' order by name, incarnation`,
);

export const listNodes = (on: Queryable): Promise<readonly NodeRow[]> => on.run(list, []);
