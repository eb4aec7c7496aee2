/**
 * What a guard says to whom listens to nothing: a key that is wrong would otherwise show as routes that answer 503, and as a start
 * that waits for ever. Once a minute for each part at most.
 */
import { FeedRefused } from './remote/revocation-source.ts';

const everyMs = 60_000;

/** `part`: what failed; it is tried again. */
export function createWarnings(deps: {
  readonly baseUrl: string;
  /** Milliseconds. */
  readonly monotonicNow: () => number;
  readonly warn: (text: string) => void;
}): (part: 'feed' | 'keys', error: unknown) => void {
  const silentUntil = new Map<string, number>();
  return (part, error) => {
    const now = deps.monotonicNow();
    if (now < (silentUntil.get(part) ?? Number.NEGATIVE_INFINITY)) return;
    silentUntil.set(part, now + everyMs);
    const what = part === 'feed' ? 'the feed of revocations' : 'the keys';
    deps.warn(
      `AuthService guard: no access to ${what} of ${deps.baseUrl}: ${describe(error)}. It is tried again; meanwhile routes may answer 503`,
    );
  };
}

function describe(error: unknown): string {
  if (error instanceof FeedRefused) {
    const wanted = ' (it wants an API key, or a certificate, that has the permission revocations:read)';
    return `status ${error.status}${error.status === 401 || error.status === 403 ? wanted : ''}`;
  }
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
