/**
 * One link: a connection after its handshake, with the frames on it. Nothing is handed on before the hello. What waits to be sent
 * is bounded: more is dropped, and a peer that does not read for three rounds is let go, as is one that is silent for so long.
 */
import type { TLSSocket } from 'node:tls';
import { createFrameReader, pingFrame, writeFrame } from './frames.ts';
import { type Hello, readHello, writeHello } from './hello.rule.ts';

export type LinkEnd = 'closed' | 'silent' | 'does_not_read' | 'nonsense' | 'other_version' | 'replaced' | 'stopped';

export interface Link {
  /** Whether this end opened it. */
  readonly dialled: boolean;
  /** Where the other end is, for logs. */
  readonly remote: string;
  /** Its number among those that its opener has opened. */
  dial(): number;
  peer(): Hello | undefined;
  /** Answers whether it was taken. */
  send(text: string): boolean;
  /** Once a second: a sign of life, and a look for one. */
  round(nowMs: number, wasAsleep: boolean): void;
  end(why: LinkEnd): void;
}

export interface LinkEvents {
  readonly onHello: (link: Link, hello: Hello) => void;
  readonly onMessage: (link: Link, text: string) => void;
  /** Once. */
  readonly onEnd: (link: Link, why: LinkEnd) => void;
}

const queueBytesMax = 1024 * 1_024;
const silentMs = 3_500;
const fullRoundsMax = 3;
/** How long one that was replaced is still read: the other end may not know yet. And how long an orderly end may take. */
const lingerMs = 1_000;

export function createLink(
  socket: TLSSocket,
  own: Hello,
  options: { readonly remote: string; readonly nowMs: () => number },
  events: LinkEvents,
): Link {
  const { remote, nowMs } = options;
  const dialled = own.dial > 0;
  const reader = createFrameReader();
  let peer: Hello | undefined;
  let ended = false;
  let heardAt = nowMs();
  let fullRounds = 0;

  const link: Link = {
    dialled,
    remote,
    dial: () => (dialled ? own.dial : (peer?.dial ?? 0)),
    peer: () => peer,
    send(text) {
      const frame = ended ? undefined : writeFrame('message', text);
      return frame !== undefined && write(frame);
    },
    round(now, wasAsleep) {
      write(pingFrame);
      // After a sleep of this process, what came meanwhile is still to be read.
      if (wasAsleep) heardAt = now;
      fullRounds = socket.writableLength > queueBytesMax / 2 ? fullRounds + 1 : 0;
      if (fullRounds >= fullRoundsMax) end('does_not_read');
      else if (now - heardAt > silentMs) end('silent');
    },
    end,
  };

  function write(frame: string): boolean {
    if (socket.writableLength + frame.length > queueBytesMax) return false;
    socket.write(frame);
    return true;
  }

  function end(why: LinkEnd): void {
    if (ended) return;
    ended = true;
    events.onEnd(link, why);
    if (why === 'stopped') socket.end();
    if (why === 'replaced' || why === 'stopped') setTimeout(() => socket.destroy(), lingerMs).unref();
    else socket.destroy();
  }

  function greeted(text: string): void {
    const read = readHello(text);
    if (read.kind !== 'hello') {
      end(read.kind === 'other_version' ? 'other_version' : 'nonsense');
      return;
    }
    peer = read.hello;
    events.onHello(link, peer);
  }

  socket.setNoDelay(true);
  socket.on('error', () => end('closed'));
  socket.on('close', () => end('closed'));
  socket.on('data', (chunk: Buffer) => {
    heardAt = nowMs();
    const frames = ended && peer === undefined ? [] : reader.push(chunk);
    if (frames === undefined) {
      end('nonsense');
      return;
    }
    for (const frame of frames) {
      if (frame.kind === 'ping') continue;
      if (frame.kind === 'message' && peer !== undefined) events.onMessage(link, frame.text);
      else if (frame.kind === 'hello' && peer === undefined && !ended) greeted(frame.text);
      else end('nonsense');
    }
  });
  socket.write(writeFrame('hello', writeHello(own)) ?? '');
  return link;
}
