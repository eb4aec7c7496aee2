/**
 * One keep-alive connection of the load generator: a request's bytes out, the answer's status and body in, never more than one
 * under way. It reads into one buffer shared by all connections, and looks at nothing but the status and the length, so that
 * the generator costs less than the server that it measures.
 */
import { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  body(): string;
}

export interface Connection {
  send(request: Buffer): void;
  close(): void;
}

const shared = Buffer.allocUnsafe(256 * 1024);
const headEnd = Buffer.from('\r\n\r\n');
const lengthHeader = /\r\ncontent-length: *(\d+)/i;

export function openConnection(
  port: number,
  onAnswer: (answer: Answer) => void,
  onFailure: (error: Error) => void,
): Promise<Connection> {
  let partial: Buffer | undefined;
  /** Whole answers of this size have come before: most answers of a job are alike, and need no search. */
  let usualBytes = 0;
  let closed = false;

  const read = (count: number, buffer: Uint8Array): boolean => {
    const fresh = Buffer.from(buffer.buffer, buffer.byteOffset, count);
    const bytes = partial === undefined ? fresh : Buffer.concat([partial, fresh]);
    const size = partial === undefined && count === usualBytes ? count : wholeSize(bytes);
    if (size === undefined || bytes.length < size) {
      partial = Buffer.from(bytes);
      return true;
    }
    if (bytes.length > size) onFailure(new Error('more bytes than one answer has'));
    partial = undefined;
    usualBytes = size;
    onAnswer({
      status: Number(bytes.toString('latin1', 9, 12)),
      body: () => bytes.toString('utf8', bytes.indexOf(headEnd) + headEnd.length),
    });
    return true;
  };

  return new Promise((resolve, reject) => {
    const socket: Socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: { buffer: shared, callback: read },
    });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', (error) => {
        if (!closed) onFailure(error);
      });
      socket.on('close', () => {
        if (!closed) onFailure(new Error('the server closed a connection'));
      });
      resolve({
        send: (request) => socket.write(request),
        close: () => {
          closed = true;
          socket.destroy();
        },
      });
    });
  });
}

function wholeSize(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(headEnd);
  if (end === -1) return undefined;
  const length = lengthHeader.exec(bytes.toString('latin1', 0, end))?.[1];
  if (length === undefined) throw new Error('an answer without Content-Length cannot be measured');
  return end + headEnd.length + Number(length);
}
