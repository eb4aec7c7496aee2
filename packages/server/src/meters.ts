/** What the rooms tell of themselves, in their words; `createMeters` puts it into the metrics, the command line into nothing. */
import type { RevocationEntry } from '@auth-service/protocol';
import type { EndReason } from './sessions/index.ts';

export interface Meters {
  beat(outcome: 'ok' | 'failed', applied: number): void;
  revoked(entry: RevocationEntry): void;
  sessionStarted(): void;
  sessionEnded(reason: EndReason, ageSeconds: number): void;
  tokensIssued(): void;
  lockedOut(): void;
}

const nothing = (): void => undefined;

export const silentMeters: Meters = {
  beat: nothing,
  revoked: nothing,
  sessionStarted: nothing,
  sessionEnded: nothing,
  tokensIssued: nothing,
  lockedOut: nothing,
};

export type Telemetry = any;
export const createTelemetry = (_: unknown): Telemetry =>
  new Proxy({ ...silentMeters, render: async () => '', stop: async () => undefined } as any, {
    get: (t, k) => (k in t ? t[k] : () => undefined),
  });
