/** What the children of the service share. */
import type { HintBus, Mesh } from './cluster/index.ts';
import type { Core } from './core.ts';
import type { PasswordHasher } from './passwords/index.ts';
import type { Database } from './platform/database/index.ts';
import type { HttpService } from './platform/http/index.ts';
import type { Log } from './platform/log/index.ts';
import type { Redis } from './platform/redis/index.ts';
import type { Clock } from './platform/time/index.ts';
import type { Channel } from './platform/workers/index.ts';
import type { BeatNode } from './revocation/index.ts';
import type { Settings } from './settings.ts';
import type { ClusterRoom } from './singletons.ts';
import type { Telemetry } from './telemetry.ts';

export interface State {
  closing: boolean;
  started: boolean;
}

/** What children make as they start, for those that start after them. */
export interface Late {
  db?: Database;
  /** Where one is configured, away or not. */
  redis?: Redis;
  passwords?: PasswordHasher;
  core?: Core;
  /** Children that open a way between nodes attach it here. */
  hints?: HintBus;
  mesh?: Mesh;
  cluster?: ClusterRoom;
  http?: HttpService;
  /** Mails may be waiting. */
  pokeMail?: () => void;
  address?: { readonly url: string; readonly port: number };
}

/** Of a process that is one of several workers. */
export interface WorkerPart {
  /** To the primary. */
  readonly channel: Channel;
  /** From 1; kept when the process is started again. */
  readonly place: number;
  /** How often that was. */
  readonly restarts: number;
}

export interface Parts {
  readonly settings: Settings;
  readonly log: Log;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly node: BeatNode;
  readonly state: State;
  readonly late: Late;
  readonly worker?: WorkerPart | undefined;
  brokenChildren?: () => readonly string[];
  /** Told of everybody who asks whether this node is ready. */
  readonly onProbed?: ((peer: string, ready: boolean) => void) | undefined;
}

export function need<T>(value: T | undefined, otherwise: string): T {
  if (value === undefined) throw new Error(otherwise);
  return value;
}
