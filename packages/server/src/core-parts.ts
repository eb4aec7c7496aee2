/** Pieces of the core that stand for themselves. */
import type { Replica, Verifier } from '@auth-service/guard';
import type { CoreOptions } from './core.ts';
import type { SigningKeys } from './keys/index.ts';
import type { Clock } from './platform/time/index.ts';
import type { SessionStore } from './sessions/index.ts';
import { createPostgresSessionStore } from './sessions/session-store.postgres.ts';
import { createRedisSessionStore } from './sessions/session-store.redis.ts';

export function sessionStore({ settings, db, redis, clock }: CoreOptions, replica: Replica): SessionStore {
  const limits = {
    idleTtlSeconds: settings.sessionIdleTtlSeconds,
    maxAgeSeconds: settings.sessionMaxAgeSeconds,
    maxPerUser: settings.maxSessionsPerUser,
  };
  if (settings.sessionStore === 'postgres') return createPostgresSessionStore({ db, limits });
  if (redis === undefined) throw new Error('sessions are to live in Redis, and there is none');
  return createRedisSessionStore({ db, redis, clock, limits, hasEnded: (id) => replica.covers('session', id) });
}

export function cancellableSleep(ms: number): { readonly done: Promise<void>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return {
    done: promise,
    cancel() {
      clearTimeout(timer);
      resolve();
    },
  };
}

/** The beat tells the version of the signing keys; another one means that some node changed them. */
export function keysVersionWatch(keys: SigningKeys): (version: string) => void {
  let known: string | undefined;
  let loading = false;
  return (version) => {
    if (version === known || loading) return;
    loading = true;
    keys.load().then(
      () => {
        known = version;
        loading = false;
      },
      () => {
        loading = false;
      },
    );
  };
}

const timedEvery = 16;

/** Reading the clock twice is a tenth of what a cached verification takes: one in so many is timed. */
export function timed(inner: Verifier, clock: Clock, onTimed: (seconds: number) => void): Verifier {
  let untimed = 0;
  return {
    ...inner,
    verify(text, start) {
      untimed = (untimed + 1) % timedEvery;
      if (untimed !== 0) return inner.verify(text, start);
      const began = clock.monotonicMs();
      const verified = inner.verify(text, start);
      onTimed((clock.monotonicMs() - began) / 1_000);
      return verified;
    },
  };
}
