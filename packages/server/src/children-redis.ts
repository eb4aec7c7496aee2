/** The children that need Redis: the connection itself, and the way for hints between nodes. Nobody waits for a Redis that is away. */
import { createRedisTransport } from './cluster/index.ts';
import type { Parts } from './parts.ts';
import { systemRandom } from './platform/random/index.ts';
import { openRedis, reasonOf } from './platform/redis/index.ts';
import type { ChildSpec } from './platform/supervision/index.ts';

/** Runs when it is known whether Redis is there. */
export function redisSpecs({ settings, log, late, telemetry, clock, state }: Parts): readonly ChildSpec[] {
  const { redis } = settings;
  if (redis === undefined) return [];
  const start = async () => {
    late.redis ??= await openRedis({
      address: redis.connection.reveal(),
      prefix: redis.prefix,
      connectionName: `auth-service/${settings.nodeName}`,
      clock,
      random: systemRandom,
      durableWrites: settings.sessionStore === 'redis',
      observe: (_command, seconds) => telemetry.askedRedis(seconds),
      onState(now, reason) {
        telemetry.redisIs(now);
        if (now === 'up') log.info({ child: 'redis', kind: redis.kind }, 'Redis is there');
        else {
          const text = 'Redis is away; rate limits are counted on each node until it is back';
          log.warn({ child: 'redis', kind: redis.kind, reason: reasonOf(reason) }, text);
        }
      },
    });
    return {
      async stop() {
        if (state.closing) await late.redis?.close();
      },
    };
  };
  return [{ name: 'redis', restart: 'permanent', stopTimeoutMs: 2_000, start }];
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
