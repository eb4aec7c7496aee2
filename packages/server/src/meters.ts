/** What the rooms tell of themselves, in their words. The command line listens to none of it (`silentMeters`). */
import type { RevocationEntry } from '@auth-service/protocol';
import type { EndReason } from './sessions/index.ts';

export interface Meters {
  beat(outcome: 'ok' | 'failed', applied: number): void;
  /** A fail-over was seen; so many revocations that it had lost were written back from here. */
  writtenBack(entries: number): void;
  revoked(entry: RevocationEntry): void;
  /** Seconds from a commit until every live node had confirmed it. */
  propagated(seconds: number): void;
  sessionStarted(): void;
  sessionEnded(reason: EndReason, ageSeconds: number): void;
  tokensIssued(): void;
  lockedOut(): void;
  /** A second factor was tried. */
  secondFactor(method: 'totp' | 'recovery_code' | 'webauthn', result: 'success' | 'failure'): void;
  /** Seconds within the process to look at one access token. */
  validated(seconds: number): void;
}

const nothing = (): void => undefined;

export const silentMeters: Meters = {
  beat: nothing,
  writtenBack: nothing,
  revoked: nothing,
  propagated: nothing,
  sessionStarted: nothing,
  sessionEnded: nothing,
  tokensIssued: nothing,
  lockedOut: nothing,
  secondFactor: nothing,
  validated: nothing,
};
