/**
 * The mesh: a link between each two nodes, by TLS 1.3 with a key made of the cluster's secret.
 *
 * - Nothing is read before the handshake has proved the secret on both sides; nothing is handed on before the hello.
 * - One link a pair: of two that meet, the one that the lesser incarnation opened stays; of two of the same opener, the one that
 *   it opened last. Both ends come to the same of it.
 * - Peers are only added by what is told; one goes when its link ends, by its own end or after three seconds of silence.
 * - All that strangers can make it hold is bounded: connections, handshakes, frames, queues, log lines.
 */
import { hkdfSync } from 'node:crypto';
import type { Socket } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import type { Clock, Timers } from '../../platform/time/index.ts';
import type { HintTransport } from '../hints/transport.ts';
import { type Address, isLoopback, readAddress, writeAddress } from './address.rule.ts';
import { createDoorkeeper } from './doorkeeper.ts';
import type { Hello } from './hello.rule.ts';
import { createLink, type Link, type LinkEnd, type LinkEvents } from './link.ts';
import { createTargets, type Target } from './targets.ts';

export interface Mesh extends HintTransport {
  readonly name: 'mesh';
  /** Where the others reach this node; after `start`. */
  address(): Address;
  /** Of the strategy. */
  found(peers: readonly Address[]): void;
  /** Of the table of leases: `host:port` each. */
  leases(peers: readonly { readonly incarnation: string; readonly address: string | null }[]): void;
  peers(): readonly Hello[];
  isLinked(incarnation: string): boolean;
  /** By incarnation: linked, or no more. */
  links(): ReadonlyMap<string, 'up' | 'lost'>;
  /** Connections that have not said hello yet, those after their handshake, links, and addresses to try. */
  figures(): { readonly waiting: number; readonly open: number; readonly links: number; readonly targets: number };
}

export type MeshEvent =
  | { readonly kind: 'joined'; readonly peer: Hello; readonly remote: string }
  | { readonly kind: 'left'; readonly peer: Hello; readonly why: LinkEnd }
  /** Tried some times; told once until somebody answers there. */
  | { readonly kind: 'unreachable'; readonly address: string; readonly reason: string }
  /** One of the two has another secret; told once for each address. */
  | { readonly kind: 'wrong_secret'; readonly address: string; readonly dialled: boolean }
  | { readonly kind: 'other_version'; readonly address: string };

export interface MeshDeps {
  readonly incarnation: string;
  readonly name: string;
  readonly secret: string;
  readonly port: number;
  /** What the others are told. */
  readonly host: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly onEvent: (event: MeshEvent) => void;
  /** `refused`: no holder of the secret. `dropped`: did not fit, or no frame of ours. */
  readonly onCount: (direction: 'sent' | 'received', type: 'refused' | 'dropped') => void;
}

const identity = 'auth-service mesh 1';
const tlsOptions = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  // A pre-shared key goes with suites of SHA-256 alone.
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
} as const;
const handshakeMs = 3_000;
const connectionsMax = 640;
const dialsAtOnceMax = 64;
const tickMs = 250;
const roundMs = 1_000;
/** A gap between ticks beyond which this process was not running. */
const asleepMs = 2_000;
const triesBeforeTold = 3;
const lostMax = 1_000;
const wrongSecretCodes = ['ERR_SSL_BINDER_DOES_NOT_VERIFY', 'ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR'];

export function createMesh(deps: MeshDeps): Mesh {
  const { clock, timers, onEvent, onCount } = deps;
  const psk = Buffer.from(hkdfSync('sha256', deps.secret, '', identity, 32));
  const links = new Map<string, Link>();
  /** As many as are worth remembering. */
  const lost = new Set<string>();
  const open = new Set<Link>();
  const connections = new Set<Socket>();
  const door = createDoorkeeper({ clock });
  const isLinked = (incarnation: string): boolean => incarnation === deps.incarnation || links.has(incarnation);
  const targets = createTargets({ ownIncarnation: deps.incarnation, random: deps.random, isLinked });
  let onMessage: (from: string, text: string) => void = () => undefined;
  let dials = 0;
  let port = deps.port;
  let stopTicks = (): void => undefined;
  let tickedAt = 0;
  let roundAt = 0;

  const server = createServer(
    {
      ...tlsOptions,
      handshakeTimeout: handshakeMs,
      pskCallback: (_socket, given) => (given === identity ? psk : null),
    },
    (socket) => welcome(socket, `${socket.remoteAddress}:${socket.remotePort}`),
  );
  server.maxConnections = connectionsMax;
  server.on('drop', () => onCount('received', 'refused'));
  server.on('connection', (socket: Socket) => {
    const key = `${socket.remoteAddress}:${socket.remotePort}`;
    connections.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      connections.delete(socket);
      door.passed(key);
    });
    if (door.enters(key, socket.remoteAddress ?? '')) return;
    onCount('received', 'refused');
    socket.destroy();
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const code = error.code ?? '';
    const address = socket.remoteAddress ?? 'unknown';
    // A handshake that took too long is reported, but not ended.
    door.passed(`${address}:${socket.remotePort}`);
    socket.destroy();
    // Who connects and goes, as the probes of load balancers do, has refused nothing.
    if (code === 'ECONNRESET') return;
    onCount('received', 'refused');
    if (wrongSecretCodes.includes(code) && door.tells(address))
      onEvent({ kind: 'wrong_secret', address, dialled: false });
  });

  /** A connection whose other end has the secret. */
  function welcome(socket: TLSSocket, key: string): void {
    const remote = key;
    const link = makeLink(socket, { dial: 0, remote }, () => door.passed(key));
    const late = timers.after(handshakeMs, () => {
      if (link.peer() === undefined) link.end('nonsense');
    });
    socket.once('close', late);
  }

  function makeLink(
    socket: TLSSocket,
    how: { readonly dial: number; readonly remote: string },
    onGreeted: (hello: Hello) => void,
  ): Link {
    const events: LinkEvents = {
      onHello(link, hello) {
        onGreeted(hello);
        join(link, hello);
      },
      onMessage: (_link, text) => onMessage(_link.peer()?.incarnation ?? '', text),
      onEnd: ended,
    };
    const self = { incarnation: deps.incarnation, name: deps.name, address: writeAddress(address()), dial: how.dial };
    const link = createLink(socket, self, { remote: how.remote, nowMs: clock.monotonicMs }, events);
    open.add(link);
    return link;
  }

  function join(link: Link, hello: Hello): void {
    if (hello.incarnation === deps.incarnation) {
      link.end('replaced');
      return;
    }
    const before = links.get(hello.incarnation);
    if (before !== undefined && stays(before, link)) {
      link.end('replaced');
      return;
    }
    links.set(hello.incarnation, link);
    lost.delete(hello.incarnation);
    before?.end('replaced');
    door.welcomed(link.remote.slice(0, link.remote.lastIndexOf(':')));
    if (before === undefined) onEvent({ kind: 'joined', peer: hello, remote: link.remote });
  }

  /** Whether `before` outlives `link`, which goes to the same peer. */
  function stays(before: Link, link: Link): boolean {
    if (before.dialled !== link.dialled) return before.dialled === deps.incarnation < (link.peer()?.incarnation ?? '');
    return before.dial() > link.dial();
  }

  function ended(link: Link, why: LinkEnd): void {
    open.delete(link);
    if (why === 'nonsense') onCount('received', 'dropped');
    if (why === 'other_version' && door.tells(link.remote)) onEvent({ kind: 'other_version', address: link.remote });
    const peer = link.peer();
    if (peer === undefined || links.get(peer.incarnation) !== link) return;
    links.delete(peer.incarnation);
    if (lost.size >= lostMax) lost.clear();
    lost.add(peer.incarnation);
    if (why !== 'stopped') onEvent({ kind: 'left', peer, why });
  }

  function dial(target: Target): void {
    target.dialling = true;
    dials += 1;
    const number = dials;
    let settled = false;
    const socket = connect({
      ...tlsOptions,
      host: target.host,
      port: target.port,
      pskCallback: () => ({ psk, identity }),
      // Whoever answers may pass the offered key over and show a certificate instead: none is good, whoever has signed it.
      ca: [],
      checkServerIdentity: () => new Error('a certificate proves nothing here'),
    });
    const settle = (work: () => void): void => {
      if (settled) return;
      settled = true;
      cancel();
      work();
    };
    const failed = (code: string): void => settle(() => unreached(target, code));
    const cancel = timers.after(handshakeMs, () => {
      failed('no answer');
      socket.destroy();
    });
    connections.add(socket);
    socket.once('close', () => {
      connections.delete(socket);
      failed('closed');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => failed(error.code ?? 'failed'));
    socket.once('secureConnect', () => {
      makeLink(socket, { dial: number, remote: target.key }, (hello) =>
        settle(() => targets.reached(target, hello.incarnation)),
      );
    });
  }

  function unreached(target: Target, code: string): void {
    targets.failed(target, clock.monotonicMs());
    if (wrongSecretCodes.includes(code)) {
      onCount('sent', 'refused');
      if (door.tells(target.key)) onEvent({ kind: 'wrong_secret', address: target.key, dialled: true });
    } else if (target.failures === triesBeforeTold) {
      onEvent({ kind: 'unreachable', address: target.key, reason: code });
    }
  }

  function tick(): void {
    const now = clock.monotonicMs();
    const wasAsleep = now - tickedAt > asleepMs;
    tickedAt = now;
    if (now - roundAt >= roundMs) {
      roundAt = now;
      for (const link of [...open]) link.round(now, wasAsleep);
    }
    const room = dialsAtOnceMax - targets.all().filter((target) => target.dialling).length;
    for (const target of targets.due(now).slice(0, Math.max(0, room))) dial(target);
    stopTicks = timers.after(tickMs, tick);
  }

  const address = (): Address => ({ host: deps.host, port });

  function sendOn(link: Link, text: string): void {
    if (!link.send(text)) onCount('sent', 'dropped');
  }

  return {
    name: 'mesh',
    async start(listener) {
      onMessage = listener;
      port = await listen(server, port, isLoopback(deps.host) ? deps.host : undefined);
      tickedAt = clock.monotonicMs();
      tick();
    },
    broadcast(text) {
      for (const link of links.values()) sendOn(link, text);
    },
    sendTo(incarnation, text) {
      const link = links.get(incarnation);
      if (link === undefined) onCount('sent', 'dropped');
      else sendOn(link, text);
    },
    async stop() {
      stopTicks();
      onMessage = () => undefined;
      const closed = new Promise((resolve) => server.close(resolve));
      for (const link of [...open]) link.end('stopped');
      links.clear();
      const cut = setTimeout(() => {
        for (const socket of [...connections]) socket.destroy();
      }, tickMs);
      await closed;
      clearTimeout(cut);
      for (const socket of [...connections]) socket.destroy();
    },
    address,
    found: (peers) => targets.found(peers, clock.monotonicMs()),
    leases(peers) {
      const known = peers.flatMap(({ incarnation, address: text }) => {
        const at = text === null ? undefined : readAddress(text);
        return at === undefined ? [] : [{ ...at, incarnation }];
      });
      targets.leases(known, clock.monotonicMs());
    },
    peers: () => [...links.values()].flatMap((link) => link.peer() ?? []),
    isLinked,
    links: () =>
      new Map<string, 'up' | 'lost'>([
        ...[...lost].map((one) => [one, 'lost'] as const),
        ...[...links.keys()].map((one) => [one, 'up'] as const),
      ]),
    figures: () => ({ waiting: door.waiting(), open: open.size, links: links.size, targets: targets.all().length }),
  };
}

/** Of this process alone, also where it is one of several workers. Answers the port. */
function listen(server: ReturnType<typeof createServer>, port: number, host: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const what = cause.code === 'EADDRINUSE' ? 'is in use: set another, or 0 for any free one' : 'cannot be opened';
      reject(new Error(`CLUSTER_PORT ${port} ${what}${what.startsWith('is') ? '' : ` (${cause.code})`}`, { cause }));
    });
    server.listen({ port, exclusive: true, ...(host === undefined ? {} : { host }) }, () => {
      server.removeAllListeners('error');
      server.on('error', () => undefined);
      const at = server.address();
      resolve(at !== null && typeof at === 'object' ? at.port : port);
    });
  });
}
