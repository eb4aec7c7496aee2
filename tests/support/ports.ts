/**
 * A port of the loopback that is free, for TCP and UDP, and given to nobody else in this run.
 *
 * Ports come from below the range that the system takes the ports of outgoing connections from: one of those could be
 * taken between the choice and the server's start. Each is claimed by a file in the folder of the run, so that two test
 * files that run at once never choose the same.
 */
import { createSocket } from 'node:dgram';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const host = '127.0.0.1';
const firstPort = 12_000;
const ports = 10_000;
/** A node of Redis Cluster listens on a second port, so far above the first: outside of the range that is given out. */
const busOffset = 10_000;

const takesTcp = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
      .once('error', () => resolve(false))
      .listen(port, host, () => server.close(() => resolve(true)));
  });

const takesUdp = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createSocket('udp4').once('error', () => resolve(false));
    socket.bind(port, host, () => socket.close(() => resolve(true)));
  });

function claim(port: number): boolean {
  const folder = join(tmpdir(), 'auth-test-ports');
  mkdirSync(folder, { recursive: true });
  try {
    closeSync(openSync(join(folder, String(port)), 'wx'));
    return true;
  } catch {
    return false;
  }
}

export async function freePort(): Promise<number> {
  for (let round = 0; round < 1_000; round += 1) {
    const port = firstPort + Math.floor(Math.random() * ports);
    const isFree = (await takesTcp(port)) && (await takesUdp(port)) && (await takesTcp(port + busOffset));
    if (isFree && claim(port)) return port;
  }
  throw new Error('there is no free port');
}
