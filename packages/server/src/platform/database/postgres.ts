/**
 * The PostgreSQL driver.
 *
 * - A statement that only reads goes through one of a few pipelined lanes, where it is sent at once and shares the
 *   connection. What writes may wait for a row lock or for the disk, so it takes a connection from the pool, where
 *   nothing stands behind it and where commits are flushed together.
 * - A server that is away, stopped, or behind a dead link is noticed within `connectTimeoutMs`; from then on every call
 *   fails at once until a background probe reaches it again (`circuit.ts`). Nothing waits, nothing stays stuck: a
 *   connection that misses its deadline is destroyed.
 * - A connection that is lost during `commit` leaves open whether it was committed: `DatabaseUnavailable`.
 *
 * Besides the pool it holds the lanes and one connection for probes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { Circuit } from './circuit.ts';
import { Connection, isRepeatable, type ObserveStatement, transactionOn } from './connection.ts';
import {
  type Database,
  DatabaseUnavailable,
  type DedicatedConnection,
  type Queryable,
  type Session,
  type Statement,
} from './database.ts';
import { translateFailure } from './failures.ts';
import { Pool } from './pool.ts';
import { columnTypes } from './values.ts';

export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-full';

export interface PostgresOptions {
  /** A URL (its `sslmode` wins over `ssl`) or the client's own configuration. */
  readonly connection: string | Pick<ClientConfig, 'host' | 'port' | 'user' | 'password' | 'database' | 'ssl'>;
  readonly poolSize?: number;
  readonly ssl?: SslMode;
  /** How long one statement may take, while the server answers probes. */
  readonly statementTimeoutMs?: number;
  /** How long one transaction may take. */
  readonly transactionTimeoutMs?: number;
  /** How long to connect, to wait for a connection, and to notice that the server is away. */
  readonly connectTimeoutMs?: number;
  readonly lanes?: number;
  readonly applicationName?: string;
  readonly observe?: ObserveStatement;
  readonly onState?: (state: 'up' | 'away') => void;
  readonly random?: () => number;
}

const tickMs = 25;
const attemptsMax = 3;
const waitingMax = 1_000;

export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const database = new PostgresDatabase(options);
  await database.start();
  return database;
}

class PostgresDatabase implements Database {
  readonly kind = 'postgres';
  readonly #options: Required<Omit<PostgresOptions, 'observe' | 'onState'>> & PostgresOptions;
  readonly #circuit: Circuit;
  readonly #pool: Pool;
  readonly #lanes: Lane[];
  /** Every connection with a deadline for its statements. */
  readonly #watched = new Set<Connection>();
  readonly #sessions = new Set<Connection>();
  #tick = 0;
  #ticker: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(given: PostgresOptions) {
    const options = {
      poolSize: 10,
      ssl: 'prefer' as const,
      statementTimeoutMs: 1_000,
      transactionTimeoutMs: 5_000,
      connectTimeoutMs: 450,
      lanes: 2,
      applicationName: 'auth-service',
      random: Math.random,
      ...given,
    };
    this.#options = options;
    this.#circuit = new Circuit({
      open: () => this.#open({ timeouts: true, onLost: () => undefined }),
      probeTimeoutMs: options.connectTimeoutMs * 0.45,
      random: options.random,
      onAway: (reason) => {
        this.#destroyAll(reason);
        options.onState?.('away');
      },
      onUp: () => options.onState?.('up'),
    });
    this.#pool = new Pool({
      size: options.poolSize,
      acquireTimeoutMs: options.connectTimeoutMs,
      waitingMax,
      open: (onLost) => this.#openWatched(onLost),
    });
    this.#lanes = Array.from({ length: options.lanes }, () => this.#lane());
  }

  async start(): Promise<void> {
    try {
      await this.#circuit.start();
    } catch (failure) {
      await this.close();
      throw failure;
    }
    this.#ticker = setInterval(() => this.#watch(), tickMs);
    this.#ticker.unref();
  }

  async run<P extends readonly unknown[], R>(statement: Statement<P, R>, params: P): Promise<readonly R[]> {
    return this.#repeat(() => {
      const lane = isRead(statement.text) ? this.#freeLane() : undefined;
      if (lane !== undefined) return lane.run(statement, params);
      return this.#pool.use((connection) => connection.run(statement, params));
    });
  }

  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    return this.#repeat(() =>
      this.#pool.use(async (connection) => {
        const { promise: deadline, reject } = Promise.withResolvers<never>();
        deadline.catch(() => undefined);
        const timer = setTimeout(() => reject(new DatabaseUnavailable('deadline')), this.#options.transactionTimeoutMs);
        try {
          return await transactionOn(connection, work, { deadline, expendable: true });
        } finally {
          clearTimeout(timer);
        }
      }),
    );
  }

  async execute(script: string): Promise<void> {
    await this.session((session) => session.execute(script));
  }

  async dedicated(): Promise<DedicatedConnection> {
    this.#circuit.demand();
    return this.#lane();
  }

  async session<T>(work: (session: Session) => Promise<T>): Promise<T> {
    this.#circuit.demand();
    const connection = await this.#open({ timeouts: false, onLost: () => this.#sessions.delete(connection) });
    this.#sessions.add(connection);
    try {
      return await work(connection);
    } finally {
      this.#sessions.delete(connection);
      await connection.close();
    }
  }

  pool() {
    return this.#pool.figures;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#ticker);
    await Promise.all([this.#pool.close(), this.#circuit.close(), ...this.#lanes.map((lane) => lane.close())]);
    this.#destroyAll(new DatabaseUnavailable('away'));
  }

  /** A transaction that lost against another one did nothing, and neither did a plan that is out of date: again. */
  async #repeat<T>(call: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      this.#circuit.demand();
      try {
        return await call();
      } catch (failure) {
        if (!isRepeatable(failure)) throw failure;
        if (attempt === attemptsMax) throw new DatabaseUnavailable('deadline', { cause: failure });
        await sleep(this.#options.random() * 30 * attempt);
      }
    }
  }

  /** The lane with the least before it; none while each waits for an answer that is late. */
  #freeLane(): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of this.#lanes) {
      if (this.#tick - (lane.oldestTick ?? this.#tick) > 1) continue;
      if (best === undefined || lane.inFlight < best.inFlight) best = lane;
    }
    return best;
  }

  #lane(): Lane {
    return new Lane(() => {
      this.#circuit.demand();
      return this.#openWatched(() => undefined);
    });
  }

  async #openWatched(onLost: () => void): Promise<Connection> {
    const connection: Connection = await this.#open({
      timeouts: true,
      onLost: () => {
        this.#watched.delete(connection);
        onLost();
      },
    });
    this.#watched.add(connection);
    return connection;
  }

  async #open(how: { readonly timeouts: boolean; readonly onLost: () => void }): Promise<Connection> {
    try {
      const client = await connectClient(this.#options, how.timeouts);
      const connection: Connection = new Connection(client, {
        ticks: () => this.#tick,
        observe: this.#options.observe,
        onLost: () => {
          this.#circuit.suspect(new Error('a connection was lost'));
          how.onLost();
        },
      });
      if (!this.#closed) return connection;
      await connection.close();
    } catch (failure) {
      this.#circuit.suspect(failure);
      throw failure;
    }
    throw new DatabaseUnavailable('away', { cause: new Error('the database was closed') });
  }

  /** Runs every tick: a late answer raises a suspicion, one that is too late costs its connection. */
  #watch(): void {
    this.#tick += 1;
    const ticksOf = (ms: number) => Math.ceil(ms / tickMs);
    const suspectTicks = ticksOf(this.#options.connectTimeoutMs * 0.4);
    // The server's own timeout comes first, when it is there to keep it.
    const deadlineTicks = ticksOf(this.#options.statementTimeoutMs * 1.1) + 2;
    const lateBy = (connection: Connection) => this.#tick - (connection.oldestTick ?? this.#tick);
    for (const connection of [...this.#watched]) {
      const late = lateBy(connection);
      if (late > deadlineTicks) connection.destroy(new DatabaseUnavailable('deadline'));
      else if (late > suspectTicks && late % 4 === 0) this.#circuit.suspect(new Error('an answer is late'));
    }
    for (const connection of this.#sessions) {
      if (lateBy(connection) > suspectTicks) this.#circuit.suspect(new Error('an answer is late'));
    }
  }

  #destroyAll(reason: DatabaseUnavailable): void {
    for (const connection of [...this.#watched, ...this.#sessions]) connection.destroy(reason);
    this.#pool.destroyAll(reason);
  }
}

/** One connection that opens itself when it is needed and was lost. */
class Lane implements DedicatedConnection {
  readonly #open: () => Promise<Connection>;
  #connection: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  #closed = false;

  constructor(open: () => Promise<Connection>) {
    this.#open = open;
  }

  get inFlight(): number {
    return this.#connection?.inFlight ?? 0;
  }

  get oldestTick(): number | undefined {
    return this.#connection?.oldestTick;
  }

  async run<P extends readonly unknown[], R>(statement: Statement<P, R>, params: P): Promise<readonly R[]> {
    const connection = this.#connection?.stale === false ? this.#connection : await this.#reopen();
    return connection.run(statement, params);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#connection?.close();
  }

  async #reopen(): Promise<Connection> {
    if (this.#closed) throw new DatabaseUnavailable('away', { cause: new Error('the connection was closed') });
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    const opened = await this.#opening;
    if (this.#connection !== opened) this.#connection?.close().catch(() => undefined);
    this.#connection = opened;
    return opened;
  }
}

/** A statement that only reads and takes no lock: it can share a connection without holding anybody up. */
function isRead(text: string): boolean {
  const known = reads.get(text);
  if (known !== undefined) return known;
  const read = /^\s*select\b/i.test(text) && !/\bfor\s+(no\s+key\s+)?(update|share|key\s+share)\b/i.test(text);
  if (reads.size < 1_000) reads.set(text, read);
  return read;
}

const reads = new Map<string, boolean>();

/** A client that is connected, in our session settings, to a server that takes writes. */
async function connectClient(options: PostgresDatabaseOptions, timeouts: boolean): Promise<Client> {
  const { config, ssl } = clientConfig(options);
  const attempt = async (mode: SslMode): Promise<Client> => {
    const client = new Client(sslConfig(config, mode));
    client.on('error', () => undefined);
    try {
      await withDeadline(
        client.connect().then(() => prepareSession(client, options, timeouts)),
        options.connectTimeoutMs,
      );
      return client;
    } catch (failure) {
      (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      if (mode === 'prefer' && /does not support SSL/.test(String(failure))) return attempt('disable');
      const known = translateFailure(failure as Error);
      throw known instanceof DatabaseUnavailable ? known : new DatabaseUnavailable('away', { cause: failure });
    }
  };
  return attempt(ssl);
}

type PostgresDatabaseOptions = Required<Omit<PostgresOptions, 'observe' | 'onState'>>;

function clientConfig(options: PostgresDatabaseOptions): { config: ClientConfig; ssl: SslMode } {
  const shared: ClientConfig = {
    application_name: options.applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    pipeline: true,
    types: columnTypes,
  };
  if (typeof options.connection !== 'string') return { config: { ...options.connection, ...shared }, ssl: options.ssl };
  if (!URL.canParse(options.connection))
    return { config: { connectionString: options.connection, ...shared }, ssl: options.ssl };
  // The client reads `prefer` and `require` in the URL as `verify-full`; here they mean what they mean to psql.
  const url = new URL(options.connection);
  const asked = url.searchParams.get('sslmode');
  url.searchParams.delete('sslmode');
  return { config: { connectionString: url.href, ...shared }, ssl: asked === null ? options.ssl : sslModeOf(asked) };
}

function sslModeOf(asked: string): SslMode {
  if (asked === 'disable' || asked === 'require') return asked;
  return asked === 'allow' || asked === 'prefer' ? 'prefer' : 'verify-full';
}

function sslConfig(config: ClientConfig, mode: SslMode): ClientConfig {
  if (mode === 'disable') return { ...config, ssl: false };
  const given = typeof config.ssl === 'object' ? config.ssl : {};
  return { ...config, ssl: { ...given, rejectUnauthorized: mode === 'verify-full' } };
}

/**
 * What every session is told. A commit that is not flushed would break the promise of `run`, so `synchronous_commit = off`
 * is raised to `on`. A server that takes no writes is a replica: reading revocations from it would be reading the past.
 */
async function prepareSession(client: Client, options: PostgresDatabaseOptions, timeouts: boolean): Promise<void> {
  const ms = timeouts ? Math.round(options.statementTimeoutMs) : 0;
  const settings = {
    timezone: 'UTC',
    datestyle: 'ISO',
    bytea_output: 'hex',
    client_min_messages: 'warning',
    default_transaction_isolation: 'read committed',
    statement_timeout: ms,
    // Not the same on each connection: of two that wait for each other one gives up first, and the other goes on.
    lock_timeout: timeouts ? Math.ceil(ms * (0.2 + 0.2 * options.random())) : 0,
    idle_in_transaction_session_timeout: timeouts ? Math.round(options.transactionTimeoutMs) + 1_000 : 0,
  };
  const list = Object.entries(settings).map(([name, value]) => `set_config('${name}', '${value}', false)`);
  const { rows } = await client.query<{ read_only: string }>(
    `select ${list.join(', ')},
      case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', false) end,
      current_setting('transaction_read_only') as read_only`,
  );
  if (rows[0]?.read_only === 'on')
    throw new DatabaseUnavailable('away', { cause: new Error('the server takes no writes') });
}

async function withDeadline<T>(work: Promise<T>, ms: number): Promise<T> {
  work.catch(() => undefined);
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => setImmediate(() => reject(new DatabaseUnavailable('away'))), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => undefined);
  }
}
