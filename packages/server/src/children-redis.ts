/** The children that need Redis: the connection itself, and the way for hints between nodes. Nobody waits for a Redis that is away. */
import { createRedisTransport } from './cluster/index.ts';
import type { Parts } from './parts.ts';
import { systemRandom } from './platform/random/index.ts';
import { openRedis, type Redis, reasonOf } from './platform/redis/index.ts';
import type { ChildSpec } from './platform/supervision/index.ts';
import { judgeRedisForSessions } from './sessions/index.ts';

/** What ended while Redis was away, and a while before: it may have lost its latest writes. */
const replayedSecondsMin = 600;

/** Runs when it is known whether Redis is there. Where sessions live in it, it must be fit for them. */
export function redisSpecs(parts: Parts): readonly ChildSpec[] {
  const { settings, log, late, telemetry, clock, state } = parts;
  const { redis } = settings;
  if (redis === undefined) return [];
  const holdsSessions = settings.sessionStore === 'redis';
  let awayAtMs = clock.monotonicMs();
  const start = async () => {
    if (late.redis === undefined) {
      const opened = await openRedis({
        address: redis.connection.reveal(),
        prefix: redis.prefix,
        connectionName: `auth-service/${settings.nodeName}`,
        clock,
        random: systemRandom,
        durableWrites: holdsSessions,
        observe: (_command, seconds) => telemetry.askedRedis(seconds),
        onState(now, reason) {
          telemetry.redisIs(now);
          if (now === 'away') {
            awayAtMs = clock.monotonicMs();
            const text = `Redis is away; ${holdsSessions ? 'logins and refreshes are refused, and ' : ''}rate limits are counted on each node until it is back`;
            log.warn({ child: 'redis', kind: redis.kind, reason: reasonOf(reason) }, text);
            return;
          }
          log.info({ child: 'redis', kind: redis.kind }, 'Redis is there');
          if (holdsSessions && late.redis !== undefined) {
            void cameBack(parts, late.redis, (clock.monotonicMs() - awayAtMs) / 1_000);
          }
        },
        onMastersAway(count) {
          if (count > 0) {
            awayAtMs = clock.monotonicMs();
            const text = 'masters of the Redis Cluster do not answer; their keys are away until replicas take over';
            log.warn({ child: 'redis', masters: count }, text);
            return;
          }
          log.info({ child: 'redis' }, 'every master of the Redis Cluster answers again');
          if (holdsSessions && late.redis !== undefined) {
            void cameBack(parts, late.redis, (clock.monotonicMs() - awayAtMs) / 1_000);
          }
        },
      });
      if (holdsSessions && opened.isUp) await assertFit(parts, opened);
      late.redis = opened;
    }
    return {
      async stop() {
        if (state.closing) await late.redis?.close();
      },
    };
  };
  return [{ name: 'redis', restart: 'permanent', stopTimeoutMs: 2_000, start }];
}

async function assertFit({ log }: Parts, redis: Redis): Promise<void> {
  try {
    const { refusal, warnings } = judgeRedisForSessions(await redis.facts());
    for (const warning of warnings) log.warn({ child: 'redis' }, warning);
    if (refusal !== null) throw new Error(refusal);
  } catch (error) {
    await redis.close();
    throw error;
  }
}

/** It may be another one than before. What goes wrong here costs tidiness alone: what has ended is asked of the database. */
async function cameBack({ log, late }: Parts, redis: Redis, awaySeconds: number): Promise<void> {
  try {
    const { refusal } = judgeRedisForSessions(await redis.facts());
    if (refusal !== null) log.error({ child: 'redis' }, refusal);
    const ended = await late.core?.sessions.replay(awaySeconds + replayedSecondsMin);
    if (ended !== undefined && ended > 0)
      log.info({ child: 'redis', ended }, 'told Redis again which sessions have ended');
  } catch (error) {
    log.warn({ child: 'redis', error }, 'Redis was not told again which sessions have ended; the database knows');
  }
}

/** With clustering, whose secret seals what is published. */
export function redisHintsSpecs({ settings, late, node }: Parts): readonly ChildSpec[] {
  if (settings.redis === undefined || settings.cluster === undefined) return [];
  const start = async () => {
    const { redis, hints } = late;
    if (redis === undefined || hints === undefined) return { stop: async () => undefined };
    const way = await hints.attach(createRedisTransport({ redis, incarnation: node.incarnation }));
    return { stop: () => way.detach() };
  };
  return [{ name: 'redis-hints', restart: 'permanent', stopTimeoutMs: 1_000, start }];
}
