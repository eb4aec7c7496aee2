/** Two ends of a channel without processes, for tests: what one sends the other gets, as JSON, in a later turn. */
import type { ChannelPort } from './channel.ts';

export interface LinkedPort extends ChannelPort {
  /** Messages that were sent and not handed over, while `hold` is on. */
  held(): number;
  hold(on: boolean): void;
}

export function linkPorts(): readonly [LinkedPort, LinkedPort] {
  const makeEnd = () => ({
    listeners: [] as ((message: unknown) => void)[],
    held: [] as (() => void)[],
    isHeld: false,
  });
  const ends = [makeEnd(), makeEnd()] as const;
  const portOf = (own: (typeof ends)[0], other: (typeof ends)[0]): LinkedPort => ({
    send(message, done) {
      const text = JSON.stringify(message);
      const deliver = (): void => {
        for (const listener of other.listeners) listener(JSON.parse(text));
        done();
      };
      if (own.isHeld) own.held.push(deliver);
      else queueMicrotask(deliver);
    },
    onMessage: (listener) => {
      own.listeners.push(listener);
    },
    held: () => own.held.length,
    hold(on) {
      own.isHeld = on;
      if (!on) for (const deliver of own.held.splice(0)) deliver();
    },
  });
  return [portOf(ends[0], ends[1]), portOf(ends[1], ends[0])];
}
