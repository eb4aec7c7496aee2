/** What a supervised child is: how it is described, what it is handed, what is told of it. */

export interface ChildContext {
  /** Tells that this child cannot go on; the first word counts. May be called at any time after `start` was. */
  failed(error: unknown): void;
  /** Tells that this child has done what it was there for. */
  ended(): void;
  /** Aborted when this child is to stop, also while it still starts. */
  readonly signal: AbortSignal;
}

export interface ChildHealth {
  readonly status: 'ok' | 'degraded';
  readonly detail?: string;
}

export interface RunningChild {
  /** Called once; then nothing of this child may be left behind, so that another can take its place. */
  stop(): Promise<void>;
  health?(): ChildHealth;
}

export interface ChildSpec {
  readonly name: string;
  /** `permanent`: always started again. `transient`: after a failure. `temporary`: never. */
  readonly restart: 'permanent' | 'transient' | 'temporary';
  /** Resolves when the child does its work. A throw is a failed start. */
  start(context: ChildContext): Promise<RunningChild>;
  /** How long `start` may take, 30 s by default. */
  readonly startTimeoutMs?: number;
  /** How long `stop` may take, 5 s by default; then the child is left to itself. */
  readonly stopTimeoutMs?: number;
}

/** `waiting`: for its backoff, or for a child before it that waits. `ended`: for good, by itself. */
export type ChildState = 'starting' | 'running' | 'waiting' | 'stopping' | 'stopped' | 'ended';

export interface ChildReport {
  readonly name: string;
  readonly state: ChildState;
  readonly restarts: number;
  /** Of a running child that tells. */
  readonly health: ChildHealth | undefined;
  /** The latest failure, kept while the child runs again. */
  readonly lastError: Error | undefined;
}

export function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('a child failed', { cause: reason });
}

export function readHealth(running: RunningChild | undefined): ChildHealth | undefined {
  try {
    return running?.health?.();
  } catch (error) {
    return { status: 'degraded', detail: toError(error).message };
  }
}
