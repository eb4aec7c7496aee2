/** What the load generator is asked for, and what it tells afterwards: plain data, because it crosses a process border. */

/** Request texts are whole HTTP/1.1 requests, Latin-1. */
export type Traffic =
  /** The same requests over and over, shared by all connections. */
  | { readonly kind: 'cycle'; readonly requests: readonly string[] }
  /** Each request once; the job ends with the last. */
  | { readonly kind: 'once'; readonly requests: readonly string[] }
  /** Each connection rotates a refresh token of its own, and goes on with the successor. One connection a token. */
  | { readonly kind: 'rotate'; readonly path: string; readonly tokens: readonly string[] }
  /** A share of each kind, in a fixed pseudo-random order. One connection a refresh token. */
  | {
      readonly kind: 'mixed';
      readonly percent: { readonly validate: number; readonly refresh: number; readonly login: number };
      readonly validates: readonly string[];
      readonly logins: readonly string[];
      readonly tokens: readonly string[];
    };

export interface Job {
  readonly port: number;
  readonly traffic: Traffic;
  readonly connections: number;
  /** Seconds that are counted. `once` ends earlier when its requests run out. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Requests a second, sent when they are due whatever the answers do; without it each connection waits for its answer. */
  readonly rate?: number;
  /** Its processor time is taken at the begin and at the end of what is counted. */
  readonly serverPid?: number;
  /** Bodies of the answers are handed back. */
  readonly collect?: boolean;
}

export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface JobResult {
  readonly answers: number;
  /** From the begin to the last answer that counts. */
  readonly seconds: number;
  /** Answers a second between the first and the last one: for slow requests, where the edges of the window would weigh. */
  readonly steadyRate: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** By kind of request, where the traffic has several. */
  readonly kinds: Readonly<Record<string, number>>;
  readonly latencyMs: Latency;
  readonly serverCpuSeconds: number;
  readonly generatorCpuSeconds: number;
  readonly bodies: readonly string[];
  /** The refresh tokens that are current after the job. */
  readonly tokens: readonly string[];
}

export interface Server {
  readonly port: number;
  readonly pid: number;
}

/** Two servers that are asked the same in turn. */
export interface AlternatingJob {
  readonly ours: Server;
  readonly bare: Server;
  readonly requests: readonly string[];
  readonly connections: number;
  /**
   * Requests of one batch. The shorter, the nearer in time are those that are compared; but a process that others have
   * displaced from the caches of its core begins each with fetching itself back.
   */
  readonly batch: number;
  readonly pairs: number;
  /** No further pair is begun after so long. */
  readonly secondsMax: number;
}

/** What one batch has taken. */
export interface Batch {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** The batches of each pair, in the same place of both lists. */
export interface Alternated {
  readonly batch: number;
  readonly ours: readonly Batch[];
  readonly bare: readonly Batch[];
}
