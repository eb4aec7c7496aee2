/**
 * The connection that hears what is published. A canary of its own goes round each second: a connection on which it stays away is
 * given up for another (of a Cluster: another node), however healthy it looks.
 */
import type { Redis as Single } from 'ioredis';
import type { Subscription } from './redis.ts';

export interface Listener {
  readonly hears: boolean;
  subscribe(channel: string, onMessage: (message: string) => void): Subscription;
  close(): void;
}

const canaryMs = 1_000;
/** Two canaries may get lost. */
const deafMs = 3_000;
const pauseMs = 250;

export function createListener(options: {
  readonly dial: (turn: number) => Promise<Single>;
  readonly channel: (name: string) => string;
  readonly canary: string;
  readonly publish: (channel: string, message: string) => Promise<void>;
  readonly monotonicMs: () => number;
}): Listener {
  const { channel, canary, monotonicMs } = options;
  const listeners = new Map<string, Set<(message: string) => void>>();
  let client: Single | undefined;
  let heardAt: number | undefined;
  let dialledAt = 0;
  let dialling = false;
  let turn = 0;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  function onMessage(name: string, message: string): void {
    if (name === channel(canary)) heardAt = monotonicMs();
    for (const tell of [...(listeners.get(name) ?? [])]) tell(message);
  }

  async function connect(): Promise<void> {
    if (dialling || closed) return;
    dialling = true;
    dialledAt = monotonicMs();
    try {
      const fresh = await options.dial(turn++);
      if (closed) return fresh.disconnect();
      fresh.on('message', onMessage);
      fresh.once('end', () => {
        if (client === fresh) lose();
      });
      client = fresh;
      await fresh.subscribe(channel(canary), ...listeners.keys());
      sing();
    } catch {
      lose();
    } finally {
      dialling = false;
    }
  }

  function lose(): void {
    client?.disconnect();
    client = undefined;
    heardAt = undefined;
    if (!closed) setTimeout(() => void connect(), pauseMs).unref();
  }

  function sing(): void {
    options.publish(canary, '').catch(() => undefined);
  }

  function watch(): void {
    const now = monotonicMs();
    if (client !== undefined && now - Math.max(heardAt ?? 0, dialledAt) > deafMs) lose();
    else if (client !== undefined) sing();
  }

  return {
    get hears() {
      return heardAt !== undefined && monotonicMs() - heardAt < deafMs;
    },
    subscribe(name, tell) {
      const full = channel(name);
      const others = listeners.get(full);
      if (others === undefined) {
        listeners.set(full, new Set([tell]));
        client?.subscribe(full).catch(lose);
      } else others.add(tell);
      if (timer === undefined && !closed) {
        timer = setInterval(watch, canaryMs);
        timer.unref();
        void connect();
      }
      return {
        close() {
          const set = listeners.get(full);
          set?.delete(tell);
          if (set?.size !== 0) return;
          listeners.delete(full);
          client?.unsubscribe(full).catch(() => undefined);
        },
      };
    },
    close() {
      closed = true;
      clearInterval(timer);
      client?.disconnect();
      client = undefined;
    },
  };
}
