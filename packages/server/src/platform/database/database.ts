/**
 * The database port: one schema and one set of SQL statements, two drivers (`postgres.ts`, `embedded.ts`).
 *
 * Guarantees, on both drivers:
 * - a resolved `run` or `transaction` is durable: it survives `kill -9` of any process;
 * - `transaction` commits when `work` resolves (with whatever value) and rolls back when it throws;
 * - every call has a deadline. A store that is away throws `DatabaseUnavailable`, it never hangs.
 */

/** One named SQL statement. The name is the prepared statement's name and the label of its metric. */
export interface Statement<P extends readonly unknown[], R> {
  readonly name: string;
  readonly text: string;
  /** Types only; never present at run time. */
  readonly types?: { readonly params: P; readonly row: R };
}

/** PostgreSQL cuts longer names, and two cut alike would be one prepared statement. */
const nameLengthMax = 63;

const registered = new Map<string, Statement<readonly unknown[], unknown>>();

/**
 * Declares a statement, once, at module level. `text` uses `$1…$n`. Both drivers parse results alike:
 * `int8` → `number`, `timestamptz` → `Date`, `xid8`, `pg_snapshot`, `uuid` and `inet` → `string`, `text[]` → `string[]`,
 * `jsonb` → the value, `bytea` → `Uint8Array`, `numeric` → `number`. Parameters: `Date`, `Uint8Array`, numbers, strings,
 * booleans and `null` as they are, a list as an array of PostgreSQL (a list for a `jsonb` is given as JSON text), any
 * other object as JSON.
 */
export function statement<P extends readonly unknown[], R>(name: string, text: string): Statement<P, R> {
  if (registered.has(name)) throw new Error(`two statements are named ${name}`);
  if (name.length > nameLengthMax) throw new Error(`the name of statement ${name} is longer than ${nameLengthMax}`);
  const made: Statement<P, R> = { name, text };
  registered.set(name, made);
  return made;
}

/** Every statement that the loaded modules declared; a test prepares each against the migrated schema. */
export function declaredStatements(): readonly Statement<readonly unknown[], unknown>[] {
  return [...registered.values()];
}

/** What can run a statement: the database itself, or one transaction of it. */
export interface Queryable {
  run<P extends readonly unknown[], R>(statement: Statement<P, R>, params: P): Promise<readonly R[]>;
}

/** One connection, alone and without deadlines, for as long as the work with it lasts. */
export interface Session extends Queryable {
  /** Runs a script of several statements. */
  execute(script: string): Promise<void>;
}

/** What `dedicated` answers: a connection of its own, so that no pool queue stands before it. */
export interface DedicatedConnection extends Queryable {
  close(): Promise<void>;
}

export interface PoolFigures {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

export interface Database extends Queryable {
  readonly kind: 'embedded' | 'postgres';
  /**
   * Read committed. `work` must not outlive the promise it returns, and must do nothing but run statements on `tx`:
   * after a deadlock or a serialization failure it is run again, at most three times in all. A transaction in which a
   * statement failed cannot commit, even when `work` swallowed the failure: it throws.
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** Runs a script of several statements, outside any transaction of ours; for migrations and tests. */
  execute(script: string): Promise<void>;
  /** A connection of its own, reopened by itself when it was lost (the embedded store shares its only one). */
  dedicated(): Promise<DedicatedConnection>;
  /** A connection for `work` alone, without deadlines: migrations and maintenance, never a request. */
  session<T>(work: (session: Session) => Promise<T>): Promise<T>;
  pool(): PoolFigures;
  close(): Promise<void>;
}

/** The store is away, too slow, or its pool is exhausted. The outside sees 503 with `Retry-After`. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';
  readonly reason: 'away' | 'deadline' | 'pool_exhausted';
  constructor(reason: 'away' | 'deadline' | 'pool_exhausted', options?: ErrorOptions) {
    super(`the database is unavailable: ${reason}`, options);
    this.reason = reason;
  }
}

/** A unique index refused a row; `constraint` names it. */
export class UniqueViolation extends Error {
  override readonly name = 'UniqueViolation';
  readonly constraint: string;
  constructor(constraint: string, options?: ErrorOptions) {
    super(`unique constraint ${constraint}`, options);
    this.constraint = constraint;
  }
}

/** The only row, or `undefined`. */
export async function one<P extends readonly unknown[], R>(
  on: Queryable,
  what: Statement<P, R>,
  params: P,
): Promise<R | undefined> {
  const rows = await on.run(what, params);
  return rows[0];
}
