/** A TCP proxy on loopback that can fall silent: connections stay open, and nothing passes any more. */
import { connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** From now on nothing passes in either direction, on old connections and on new ones. */
  silence(): void;
  /** New connections pass again; the old ones stay dead, as after a middlebox forgot them. */
  heal(): void;
  /** Each piece of data waits this long. */
  delay(ms: number): void;
  /** New connections go there, as behind an address that moves with a fail-over; the old ones end. */
  redirect(port: number): void;
  close(): Promise<void>;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  let silent = false;
  let delayMs = 0;
  let target = targetPort;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    let dead = silent;
    const pass = (from: Socket, to: Socket) => {
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('data', (chunk) => {
        dead ||= silent;
        if (dead) return;
        if (delayMs === 0) to.write(chunk);
        else setTimeout(() => to.writable && to.write(chunk), delayMs);
      });
      from.on('close', () => {
        sockets.delete(from);
        if (!dead && !silent) to.destroy();
      });
    };
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    silence: () => {
      silent = true;
    },
    heal: () => {
      silent = false;
      for (const socket of [...sockets]) socket.destroy();
    },
    delay: (ms) => {
      delayMs = ms;
    },
    redirect: (port) => {
      target = port;
      for (const socket of [...sockets]) socket.destroy();
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of [...sockets]) socket.destroy();
      await closed;
    },
  };
}
