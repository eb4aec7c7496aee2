/**
 * One end of what two processes say to each other: casts, which nobody answers, and asks, which have a deadline.
 *
 * What is said while the channel is busy travels together, so under load one message of the operating system carries many. What
 * does not fit is dropped: a cast is lost and its ask refused at once. Nothing here throws or waits for the other end.
 */
import type { Timers } from '../time/index.ts';

export interface ChannelPort {
  /** `done` is called once the message has left, or could not. */
  send(message: unknown, done: () => void): void;
  onMessage(listener: (message: unknown) => void): void;
}

export interface Channel {
  cast(topic: string, body: unknown): void;
  /** Rejects when there is no answer in time, nobody to answer, or no room. */
  ask(topic: string, body: unknown, deadlineMs: number): Promise<unknown>;
  /** What this end does with casts and asks of a topic: its value answers the ask, a throw or a rejection refuses it. */
  on(topic: string, handler: (body: unknown) => unknown): void;
  /** The other end is gone: nothing is sent any more, and what was asked is refused. */
  close(): void;
  /** Frames that were dropped for lack of room. */
  dropped(): number;
}

/** A topic, an ask's number (0: a cast), and the body. */
type Frame =
  | readonly ['say', string, number, unknown]
  | readonly ['answer', number, unknown]
  | readonly ['refuse', number];

interface Asked {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly cancel: () => void;
}

const waitingMax = 20_000;
const waitingCharactersMax = 32 * 1024 * 1024;
const askedMax = 10_000;
const batchCharactersMax = 256 * 1024;

export function createChannel(port: ChannelPort, options: { readonly timers: Timers }): Channel {
  const handlers = new Map<string, (body: unknown) => unknown>();
  const asked = new Map<number, Asked>();
  let waiting: { readonly frame: Frame; readonly size: number }[] = [];
  let waitingCharacters = 0;
  let isSending = false;
  let isClosed = false;
  let lastAsk = 0;
  let droppedFrames = 0;

  function put(frame: Frame): boolean {
    if (isClosed) return false;
    const size = sizeOf(frame);
    if (waiting.length >= waitingMax || waitingCharacters + size > waitingCharactersMax) {
      droppedFrames += 1;
      return false;
    }
    waiting.push({ frame, size });
    waitingCharacters += size;
    // At the end of this turn, so that what is said in one turn travels together.
    if (!isSending) {
      isSending = true;
      queueMicrotask(sendNext);
    }
    return true;
  }

  function sendNext(): void {
    if (isClosed || waiting.length === 0) {
      isSending = false;
      return;
    }
    let characters = 0;
    let count = 0;
    while (count < waiting.length && (count === 0 || characters < batchCharactersMax)) {
      characters += waiting[count]?.size ?? 0;
      count += 1;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    waitingCharacters -= characters;
    port.send(
      batch.map(({ frame }) => frame),
      sendNext,
    );
  }

  async function answer(topic: string, number: number, body: unknown): Promise<void> {
    try {
      const handler = handlers.get(topic);
      if (handler === undefined) throw new Error(`nobody answers ${topic}`);
      const value = handler(body);
      if (number !== 0) put(['answer', number, value instanceof Promise ? await value : value]);
    } catch {
      if (number !== 0) put(['refuse', number]);
    }
  }

  function settle(number: number): Asked | undefined {
    const found = asked.get(number);
    asked.delete(number);
    found?.cancel();
    return found;
  }

  port.onMessage((message) => {
    if (!Array.isArray(message)) return;
    for (const frame of message as readonly Frame[]) {
      if (frame[0] === 'say') void answer(frame[1], frame[2], frame[3]);
      else if (frame[0] === 'answer') settle(frame[1])?.resolve(frame[2]);
      else if (frame[0] === 'refuse') settle(frame[1])?.reject(new Error('the other process refused'));
    }
  });

  return {
    cast(topic, body) {
      put(['say', topic, 0, body]);
    },
    ask(topic, body, deadlineMs) {
      lastAsk += 1;
      const number = lastAsk;
      if (asked.size >= askedMax || !put(['say', topic, number, body])) {
        return Promise.reject(new Error(`no room to ask for ${topic}`));
      }
      return new Promise((resolve, reject) => {
        const late = (): void => settle(number)?.reject(new Error(`no answer to ${topic} in ${deadlineMs} ms`));
        asked.set(number, { resolve, reject, cancel: options.timers.after(deadlineMs, late) });
      });
    },
    on(topic, handler) {
      handlers.set(topic, handler);
    },
    close() {
      isClosed = true;
      waiting = [];
      for (const number of [...asked.keys()]) settle(number)?.reject(new Error('the other process is gone'));
    },
    dropped: () => droppedFrames,
  };
}

/** About what it is on its way; only texts can be long. */
function sizeOf(frame: Frame): number {
  let size = 32;
  for (const part of frame) size += typeof part === 'string' ? part.length : sizeOfBody(part);
  return size;
}

function sizeOfBody(body: unknown): number {
  if (typeof body === 'string') return body.length;
  if (typeof body !== 'object' || body === null) return 8;
  let size = 0;
  for (const value of Object.values(body)) size += 16 + sizeOfBody(value);
  return size;
}
