/**
 * Names, cluster-wide: who runs what, names that one node holds for all, and children that are started at run time.
 *
 * A registered name belongs to one node and ends with it. A child belongs to the cluster: it runs on some node that knows its
 * kind, and goes on elsewhere when that node ends, until it is stopped by name.
 */
import type { Database } from '../../platform/database/index.ts';
import type { Held } from './hold.ts';
import type { SingletonKind } from './runner.ts';
import { deleteRegistration, deleteSingleton, insertSingleton, type SingletonRow } from './singletons.sql.ts';
import type { Singletons } from './singletons.ts';

export interface Entry {
  readonly name: string;
  /** `null` for a registered name. */
  readonly kind: string | null;
  readonly spec: Readonly<Record<string, unknown>>;
  /** Where it is; `null` while it is between two nodes. */
  readonly node: string | null;
  readonly fence: number;
  readonly since: Date | null;
  readonly lastRun: Date | null;
  readonly lastResult: string | null;
}

/** A name that this node holds; `signal` tells when it does not any more. */
export interface Registration extends Omit<Held, 'spec'> {
  release(): Promise<void>;
}

export interface Registry {
  /** `undefined` when somebody has the name. */
  register(name: string, spec?: Readonly<Record<string, unknown>>): Promise<Registration | undefined>;
  /** `undefined` for a name that nobody has. */
  lookup(name: string): Promise<Entry | undefined>;
  /** As of now, or of the latest look while the database is away. */
  list(): Promise<readonly Entry[]>;
  /** Starts a child of a declared kind somewhere in the cluster; false when the name is taken. */
  startChild(child: {
    readonly name: string;
    readonly kind: string;
    readonly spec?: Readonly<Record<string, unknown>>;
  }): Promise<boolean>;
  /** False when there is none. The run under way ends with the next renewal, and writes nothing any more. */
  stopChild(name: string): Promise<boolean>;
}

export function createRegistry(deps: {
  readonly db: Database;
  readonly singletons: Singletons;
  readonly kinds: readonly SingletonKind[];
  readonly incarnation: string;
}): Registry {
  const { db, singletons } = deps;
  const kinds = new Set(deps.kinds.map((kind) => kind.kind));
  const standing = new Set(deps.kinds.filter((kind) => kind.standing === true).map((kind) => kind.kind));

  async function list(): Promise<readonly Entry[]> {
    // A registered name whose node is gone is nobody's.
    return (await singletons.read()).filter((row) => row.kind !== null || row.is_held).map(toEntry);
  }

  return {
    async register(name, spec = {}) {
      const hold = await singletons.take(name, spec);
      if (hold === undefined) return undefined;
      return {
        ...hold,
        async release() {
          singletons.drop(hold);
          await deleteRegistration(db, { name, owner: deps.incarnation, fence: hold.fence });
        },
      };
    },
    list,
    lookup: async (name) => (await list()).find((entry) => entry.name === name),
    async startChild({ name, kind, spec = {} }) {
      if (!kinds.has(kind)) throw new Error(`there is no kind of child ${kind}`);
      const made = await insertSingleton(db, { name, kind, spec });
      if (made) singletons.nudge();
      return made;
    },
    async stopChild(name) {
      if (standing.has(name)) throw new Error(`${name} always runs`);
      return deleteSingleton(db, name);
    },
  };
}

export function toEntry(row: SingletonRow): Entry {
  return {
    name: row.name,
    kind: row.kind,
    spec: row.spec,
    node: row.is_held ? row.node : null,
    fence: row.fence,
    since: row.is_held ? row.since : null,
    lastRun: row.last_run,
    lastResult: row.last_result,
  };
}
