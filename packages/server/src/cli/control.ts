/**
 * The control socket: how the command line reaches a running service on the embedded store, which only one process may
 * open. A Unix socket in `DATA_DIR` (folder 0700, socket 0600): who may open it may read the store as well.
 *
 * One line of JSON in (`words`, `secret`, `cwd`), lines of JSON out: `line`, `error`, `progress`, and `exit` last.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { CommandOutput, CommandRooms } from './command.ts';
import { parseCommand, runCommand } from './run.ts';

/** The kernel's limit on the path of a Unix socket is 107 bytes. */
export const controlPathMax = 107;
const requestBytesMax = 64 * 1024;
const requestTimeoutMs = 5_000;

interface Request {
  readonly words: readonly string[];
  readonly secret: string | null;
  readonly cwd: string;
}

export type Frame =
  | { readonly kind: 'line' | 'error'; readonly text: string }
  | { readonly kind: 'progress'; readonly label: string; readonly done: number; readonly total: number }
  | { readonly kind: 'exit'; readonly code: number };

export async function openControl(options: {
  readonly path: string;
  readonly rooms: CommandRooms;
  readonly onFailure: (error: unknown) => string;
}): Promise<{ close(): Promise<void> }> {
  // We hold the folder's lock: a socket that is left there is nobody's.
  rmSync(options.path, { force: true });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(requestTimeoutMs, () => socket.destroy());
    let text = '';
    const onData = (chunk: Buffer): void => {
      text += chunk.toString();
      if (text.length > requestBytesMax) return void socket.destroy();
      if (!text.includes('\n')) return;
      socket.off('data', onData);
      socket.setTimeout(0);
      void serve(socket, text, options);
    };
    socket.on('data', onData);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.path, resolve);
  });
  chmodSync(options.path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

async function serve(
  socket: Socket,
  text: string,
  options: { readonly rooms: CommandRooms; readonly onFailure: (error: unknown) => string },
): Promise<void> {
  const send = (frame: Frame): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(frame)}\n`);
  };
  const out: CommandOutput = {
    line: (line) => send({ kind: 'line', text: line }),
    error: (line) => send({ kind: 'error', text: line }),
    progress: (label, done, total) => send({ kind: 'progress', label, done, total }),
    flush: async () => {
      if (socket.destroyed) throw new Error('who asked is gone');
      if (socket.writableNeedDrain) {
        await new Promise<void>((resolve) => {
          socket.once('drain', resolve);
          socket.once('close', resolve);
        });
      }
    },
  };
  const request = readRequest(text);
  const parsed = request === undefined ? undefined : parseCommand(request.words);
  let code = 2;
  if (request !== undefined && parsed?.kind === 'command') {
    code = await runCommand(parsed.parsed, request, options.rooms, out, options.onFailure);
  } else out.error('the running service does not know this command; is it of another version?');
  send({ kind: 'exit', code });
  socket.end();
}

function readRequest(text: string): Request | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('words' in value) || !Array.isArray(value.words))
      return undefined;
    const secret = 'secret' in value && typeof value.secret === 'string' ? value.secret : null;
    const cwd = 'cwd' in value && typeof value.cwd === 'string' ? value.cwd : '/';
    return { words: value.words.map(String), secret, cwd };
  } catch {
    return undefined;
  }
}

/** Runs the words in the service that listens on `path`; `undefined` when none does. */
export async function askControl(path: string, request: Request, out: CommandOutput): Promise<number | undefined> {
  const socket = createConnection(path);
  const isConnected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  if (!isConnected) return undefined;
  socket.write(`${JSON.stringify(request)}\n`);
  let code: number | undefined;
  try {
    for await (const line of createInterface({ input: socket })) {
      const frame = JSON.parse(line) as Frame;
      if (frame.kind === 'line') {
        out.line(frame.text);
        await out.flush();
      } else if (frame.kind === 'error') out.error(frame.text);
      else if (frame.kind === 'progress') out.progress(frame.label, frame.done, frame.total);
      else if (frame.kind === 'exit') code = frame.code;
    }
  } catch {
    // The service ended in the middle; said below.
  }
  if (code === undefined) out.error('the running service ended before the command was done');
  return code ?? 1;
}
