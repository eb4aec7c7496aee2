/**
 * Hints by Redis: published on one channel for all, and on one of each node's own. Who has access to Redis could write there, so what
 * is sent here is sealed by the bus, which also tells who it is from. While Redis is away, and beyond a bound of what is on its
 * way, texts are dropped.
 */
import type { Redis, Subscription } from '../../platform/redis/index.ts';
import type { HintTransport } from './transport.ts';

const toAll = 'hints';
const textLengthMax = 64 * 1024;
const underWayMax = 1_000;
const incarnationForm = /^[A-Za-z0-9-]{1,64}$/;

export function createRedisTransport(deps: {
  readonly redis: Pick<Redis, 'publish' | 'subscribe'>;
  readonly incarnation: string;
}): HintTransport {
  const { redis, incarnation } = deps;
  let subscriptions: readonly Subscription[] = [];
  let underWay = 0;
  let isStopped = true;

  function send(channel: string, text: string): void {
    if (isStopped || text.length > textLengthMax || underWay >= underWayMax) return;
    underWay += 1;
    redis
      .publish(channel, text)
      .catch(() => undefined)
      .finally(() => {
        underWay -= 1;
      });
  }

  return {
    name: 'redis',
    async start(onMessage) {
      isStopped = false;
      const hear = (text: string): void => {
        if (!isStopped && text.length <= textLengthMax) onMessage('', text);
      };
      subscriptions = [redis.subscribe(toAll, hear), redis.subscribe(`${toAll}:${incarnation}`, hear)];
    },
    broadcast: (text) => send(toAll, text),
    sendTo(to, text) {
      if (incarnationForm.test(to)) send(`${toAll}:${to}`, text);
    },
    async stop() {
      isStopped = true;
      for (const subscription of subscriptions) subscription.close();
      subscriptions = [];
    },
  };
}
