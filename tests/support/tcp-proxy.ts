/** A TCP proxy that can fall silent (connections stay open, and nothing passes any more), be slow, and stall. */
import { connect, createServer, type Socket } from 'node:net';

/** What a lossy link looks like from above TCP: now and then a piece, and all behind it, comes late. */
export interface Stalls {
  /** Share of the pieces, 0 to 1. */
  readonly share: number;
  readonly msMin: number;
  readonly msMax: number;
  readonly random: () => number;
}

export interface TcpProxyOptions {
  readonly host?: string;
  readonly port?: number;
  readonly targetHost?: string;
}

export interface TcpProxy {
  readonly port: number;
  /** From now on nothing passes in either direction, on old connections and on new ones. */
  silence(): void;
  /** New connections pass again; the old ones stay dead, as after a middlebox forgot them. */
  heal(): void;
  /** Each piece of data waits this long; the order stays. */
  delay(ms: number, stalls?: Stalls): void;
  /** New connections go there, as behind an address that moves with a fail-over; the old ones end. */
  redirect(port: number): void;
  close(): Promise<void>;
}

export async function startTcpProxy(targetPort: number, options: TcpProxyOptions = {}): Promise<TcpProxy> {
  const { host = '127.0.0.1', port = 0, targetHost = '127.0.0.1' } = options;
  let silent = false;
  let delayMs = 0;
  let stalls: Stalls | undefined;
  let target = targetPort;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, targetHost);
    let dead = silent;
    const pass = (from: Socket, to: Socket) => {
      const after = inTurn(() => delayMs + stallMs(stalls));
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('data', (chunk) => {
        dead ||= silent;
        if (!dead) after(() => to.writable && to.write(chunk));
      });
      from.on('close', () => {
        sockets.delete(from);
        if (!dead && !silent) after(() => to.destroy());
      });
    };
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
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
    delay: (ms, withStalls) => {
      delayMs = ms;
      stalls = withStalls;
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

function stallMs(stalls: Stalls | undefined): number {
  if (stalls === undefined || stalls.random() >= stalls.share) return 0;
  return stalls.msMin + stalls.random() * (stalls.msMax - stalls.msMin);
}

/** Runs what it is given after the time that the link takes, in the order in which it came. */
function inTurn(linkMs: () => number): (act: () => void) => void {
  const waiting: { readonly dueMs: number; readonly act: () => void }[] = [];
  let lastDueMs = 0;
  const drain = (): void => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        setTimeout(drain, Math.ceil(waitMs));
        return;
      }
      waiting.shift();
      next.act();
    }
  };
  return (act) => {
    const nowMs = performance.now();
    lastDueMs = Math.max(lastDueMs, nowMs + linkMs());
    if (waiting.length === 0 && lastDueMs <= nowMs) {
      act();
      return;
    }
    waiting.push({ dueMs: lastDueMs, act });
    if (waiting.length === 1) drain();
  };
}
