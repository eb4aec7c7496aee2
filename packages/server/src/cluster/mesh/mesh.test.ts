import assert from 'node:assert/strict';
import { hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connect as connectTls,
  createServer as createTlsServer,
  getCACertificates,
  setDefaultCACertificates,
  type TLSSocket,
} from 'node:tls';
import { createCertificateAuthority } from '../../../../../tests/support/certificates.ts';
import { startTcpProxy } from '../../../../../tests/support/tcp-proxy.ts';
import { systemClock, systemTimers } from '../../platform/time/index.ts';
import { writeAddress } from './address.rule.ts';
import { writeHello } from './hello.rule.ts';
import { createMesh, type Mesh, type MeshEvent } from './mesh.ts';

const secret = 'a-cluster-secret-of-the-tests-8d1f2b7c6a';
const host = '127.0.0.1';

interface Node {
  readonly mesh: Mesh;
  readonly incarnation: string;
  readonly name: string;
  readonly events: MeshEvent[];
  readonly texts: { from: string; text: string }[];
  readonly counts: Map<string, number>;
}

const started: Mesh[] = [];
const sockets: Socket[] = [];
after(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(started.map((mesh) => mesh.stop()));
});

async function startNode(name: string, options: { secret?: string; port?: number } = {}): Promise<Node> {
  const incarnation = randomUUID();
  const events: MeshEvent[] = [];
  const texts: { from: string; text: string }[] = [];
  const counts = new Map<string, number>();
  const mesh = createMesh({
    ...{ incarnation, name, secret: options.secret ?? secret, port: options.port ?? 0, host },
    ...{ clock: systemClock, timers: systemTimers, random: Math.random },
    onEvent: (event) => events.push(event),
    onCount: (direction, type) => counts.set(`${direction} ${type}`, (counts.get(`${direction} ${type}`) ?? 0) + 1),
  });
  await mesh.start((from, text) => texts.push({ from, text }));
  started.push(mesh);
  return { mesh, incarnation, name, events, texts, counts };
}

async function until(what: string, look: () => boolean, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!look()) {
    assert.ok(performance.now() < end, `waited in vain for ${what}`);
    await sleep(10);
  }
}

const leaseOf = ({ incarnation, mesh }: Node) => ({ incarnation, address: writeAddress(mesh.address()) });
const kindsOf = (node: Node, kind: MeshEvent['kind']) => node.events.filter((event) => event.kind === kind);
const linked = (a: Node, b: Node): boolean => a.mesh.isLinked(b.incarnation) && b.mesh.isLinked(a.incarnation);

async function pair(): Promise<[Node, Node]> {
  const [a, b] = [await startNode('a'), await startNode('b')];
  a.mesh.leases([leaseOf(b)]);
  await until('the link', () => linked(a, b));
  return [a, b];
}

/** A raw connection to a node, remembered to be closed. */
function knock(node: Node): Socket {
  const socket = connectTcp(node.mesh.address().port, host);
  socket.on('error', () => undefined);
  sockets.push(socket);
  return socket;
}

/** A holder of the secret that behaves as it likes. */
async function enter(node: Node): Promise<TLSSocket> {
  const identity = 'auth-service mesh 1';
  const psk = Buffer.from(hkdfSync('sha256', secret, '', identity, 32));
  const socket = connectTls({
    ...{ host, port: node.mesh.address().port, minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' },
    ...{ pskCallback: () => ({ psk, identity }), checkServerIdentity: () => undefined },
  });
  socket.on('error', () => undefined);
  sockets.push(socket);
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  return socket;
}

const closed = (socket: Socket): Promise<unknown> =>
  socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve));

describe('the mesh', () => {
  test('two that know of each other have one link, and each hears the other, aimed or not', async () => {
    const [a, b] = [await startNode('a'), await startNode('b')];
    a.mesh.leases([leaseOf(b)]);
    b.mesh.leases([leaseOf(a)]);
    await until('the link', () => linked(a, b));
    a.mesh.broadcast('to all');
    b.mesh.sendTo(a.incarnation, 'to a');
    await until('the texts', () => a.texts.length === 1 && b.texts.length === 1);
    assert.deepEqual(b.texts, [{ from: a.incarnation, text: 'to all' }]);
    assert.deepEqual(a.texts, [{ from: b.incarnation, text: 'to a' }]);
    await until('one link', () => a.mesh.figures().links === 1 && b.mesh.figures().links === 1);
    assert.deepEqual([kindsOf(a, 'joined').length, kindsOf(b, 'joined').length], [1, 1]);
  });

  test('ten that know one of them by its lease and the rest by theirs are linked each with each', async () => {
    const nodes = await Promise.all(Array.from({ length: 10 }, (_, at) => startNode(`n${at}`)));
    for (const node of nodes) node.mesh.leases(nodes.filter((other) => other !== node).map(leaseOf));
    await until('all links', () => nodes.every((node) => node.mesh.peers().length === 9));
    for (const node of nodes) node.mesh.broadcast(`from ${node.name}`);
    await until('all texts', () => nodes.every((node) => new Set(node.texts.map(({ text }) => text)).size === 9));
    for (const node of nodes) assert.equal(kindsOf(node, 'left').length, 0);
    await Promise.all(nodes.map((node) => node.mesh.stop()));
  });

  test('discovery only adds: what finds nothing or its own address takes no link away', async () => {
    const [a, b] = await pair();
    a.mesh.found([]);
    a.mesh.leases([]);
    a.mesh.found([a.mesh.address(), { host, port: 1 }]);
    await until('a try', () => kindsOf(a, 'unreachable').length === 1);
    assert.ok(linked(a, b));
    assert.equal(a.mesh.peers().length, 1);
  });

  test('a peer that is told under several addresses has one link, which both ends keep', async () => {
    const [a, b] = [await startNode('a'), await startNode('b')];
    const { port } = b.mesh.address();
    const names = ['127.0.0.1', 'localhost', '127.1', '2130706433'];
    a.mesh.found(names.map((name) => ({ host: name, port })));
    b.mesh.leases([leaseOf(a)]);
    await until('the link', () => linked(a, b));
    await until('all tries to end', () => a.mesh.figures().targets === 4 && a.mesh.figures().open === 1);
    await sleep(600);
    assert.deepEqual([a.mesh.figures().open, b.mesh.figures().open], [1, 1]);
    assert.deepEqual([kindsOf(a, 'left').length, kindsOf(b, 'left').length], [0, 0]);
    a.mesh.broadcast('once');
    await until('the text', () => b.texts.length === 1);
  });

  test('a peer that ends is gone, and is linked again when it comes back on its address', async () => {
    const [a, b] = await pair();
    const { port } = b.mesh.address();
    await b.mesh.stop();
    await until('its end', () => kindsOf(a, 'left').length === 1);
    const again = await startNode('b', { port });
    await until('its return', () => linked(a, again));
  });

  test('a link on which nothing passes any more is given up by both ends, and made again when the network heals', async () => {
    const [a, b] = [await startNode('a'), await startNode('b')];
    const proxy = await startTcpProxy(b.mesh.address().port);
    try {
      a.mesh.found([{ host, port: proxy.port }]);
      await until('the link', () => linked(a, b));
      proxy.silence();
      await until('both to give it up', () => a.mesh.peers().length === 0 && b.mesh.peers().length === 0);
      for (const node of [a, b]) {
        assert.deepEqual(
          kindsOf(node, 'left').map((event) => event.kind === 'left' && event.why),
          ['silent'],
        );
      }
      assert.deepEqual([a.mesh.links().get(b.incarnation), b.mesh.links().get(a.incarnation)], ['lost', 'lost']);
      proxy.heal();
      await until('the link again', () => linked(a, b));
      assert.equal(a.mesh.links().get(b.incarnation), 'up');
    } finally {
      await proxy.close();
    }
  });

  test('a port that is taken stops the start, and the error names the variable', async () => {
    const a = await startNode('a');
    await assert.rejects(startNode('b', { port: a.mesh.address().port }), /^Error: CLUSTER_PORT \d+ is in use/);
  });
});

describe('CFG-07 the mesh and those without its secret', () => {
  test('CFG-07 another secret never joins, from either side; it is counted, and told once', async () => {
    const a = await startNode('a');
    const stranger = await startNode('stranger', { secret: 'another-cluster-secret-of-the-tests-55' });
    stranger.mesh.found([a.mesh.address()]);
    a.mesh.found([stranger.mesh.address()]);
    await until('three tries', () => (a.counts.get('received refused') ?? 0) >= 3);
    assert.deepEqual([a.mesh.peers().length, stranger.mesh.peers().length], [0, 0]);
    assert.deepEqual([a.texts.length, stranger.texts.length], [0, 0]);
    const told = kindsOf(a, 'wrong_secret') as Extract<MeshEvent, { kind: 'wrong_secret' }>[];
    assert.equal(told.filter(({ dialled }) => !dialled).length, 1);
    assert.ok(told.filter(({ dialled }) => dialled).length <= 1);
  });

  test('CFG-07 one that shows a certificate in place of the secret is no peer, whoever has signed it', async () => {
    const authority = createCertificateAuthority();
    const trusted = getCACertificates('default');
    // As any authority of the web is trusted by default.
    setDefaultCACertificates([...trusted, authority.cert]);
    let read = 0;
    const impostor = createTlsServer({ ...authority.issue(host), minVersion: 'TLSv1.3' }, (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        read += chunk.length;
      });
      socket.write(
        `h${writeHello({ incarnation: randomUUID(), name: 'impostor', address: '127.0.0.1:1', dial: 1 })}\n`,
      );
    });
    try {
      await new Promise<void>((resolve) => impostor.listen(0, host, resolve));
      const at = impostor.address();
      assert.ok(at !== null && typeof at === 'object');
      const a = await startNode('a');
      a.mesh.found([{ host, port: at.port }]);
      await until('three tries', () => kindsOf(a, 'unreachable').length === 1);
      assert.deepEqual([a.mesh.peers(), kindsOf(a, 'joined'), read], [[], [], 0]);
    } finally {
      setDefaultCACertificates(trusted);
      impostor.close();
    }
  });

  test('CFG-07 captured bytes that are sent again bring nothing in', async () => {
    const a = await startNode('a');
    const captured: Buffer[] = [];
    const tap = createServer((near) => {
      const far = connectTcp(a.mesh.address().port, host);
      near.on('data', (chunk: Buffer) => {
        captured.push(chunk);
        far.write(chunk);
      });
      far.on('data', (chunk) => near.write(chunk));
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        one.on('error', () => undefined);
        one.on('close', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => tap.listen(0, host, resolve));
    const at = tap.address();
    assert.ok(at !== null && typeof at === 'object');
    const b = await startNode('b');
    b.mesh.found([{ host, port: at.port }]);
    await until('the link', () => linked(a, b));
    b.mesh.broadcast('once');
    await until('the text', () => a.texts.length === 1);
    await b.mesh.stop();
    tap.close();
    await until('its end', () => a.mesh.peers().length === 0);

    const socket = knock(a);
    socket.resume();
    for (const chunk of captured) socket.write(chunk);
    await closed(socket);
    assert.deepEqual([a.texts.length, a.mesh.peers().length, kindsOf(a, 'joined').length], [1, 0, 1]);
    assert.ok((a.counts.get('received refused') ?? 0) >= 1);
  });

  test('DOS-08 garbage, a request of the web and endless bytes are refused before anything is read', async () => {
    const [a, b] = await pair();
    for (const bytes of [randomBytes(4_096), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(1_048_576, 0x61)]) {
      const socket = knock(a);
      socket.resume();
      socket.write(bytes);
      await closed(socket);
    }
    assert.equal(a.counts.get('received refused'), 3);
    a.mesh.broadcast('still here');
    await until('the text', () => b.texts.some(({ text }) => text === 'still here'));
  });

  test('DOS-08 connections that say nothing are few at a time and end; a peer joins all the same', async () => {
    const a = await startNode('a');
    const idle = Array.from({ length: 300 }, () => knock(a));
    for (const socket of idle) socket.resume();
    await until('the surplus to be refused', () => idle.filter((socket) => socket.destroyed).length >= 284);
    assert.ok(a.mesh.figures().waiting <= 16, `${a.mesh.figures().waiting} wait`);
    await Promise.all(idle.map(closed));
    assert.equal(a.mesh.figures().waiting, 0);
    const b = await startNode('b');
    b.mesh.found([a.mesh.address()]);
    await until('the link', () => linked(a, b));
  });
});

describe('a holder of the secret that misbehaves', () => {
  const helloOf = (name: string): string =>
    `h${writeHello({ incarnation: randomUUID(), name, address: '127.0.0.1:1', dial: 1 })}\n`;

  test('a line of 1 MiB, a message before the hello, a second hello and an unknown letter end its link', async () => {
    const a = await startNode('a');
    const hello = helloOf('x');
    for (const bytes of [`m${'a'.repeat(1_048_576)}\n`, 'mearly\n', `${hello}${hello}`, `${hello}zzz\n`, 'h{}\n']) {
      const socket = await enter(a);
      socket.resume();
      socket.write(bytes);
      await closed(socket);
    }
    await until('all to be counted', () => a.counts.get('received dropped') === 5);
    assert.deepEqual(a.texts, []);
    await until('nobody to be left', () => a.mesh.figures().links === 0);
  });

  test('one that says hello and nothing else is let go; so is one that never says hello', async () => {
    const a = await startNode('a');
    const [greeting, mute] = [await enter(a), await enter(a)];
    greeting.resume();
    mute.resume();
    greeting.write(helloOf('x'));
    await until('the link', () => a.mesh.peers().length === 1);
    await Promise.all([closed(greeting), closed(mute)]);
    assert.deepEqual(
      kindsOf(a, 'left').map((event) => event.kind === 'left' && event.why),
      ['silent'],
    );
  });

  test('one that never reads costs a bounded queue, is let go, and delays nobody', async () => {
    const [a, b] = await pair();
    const socket = await enter(a);
    socket.pause();
    socket.write(helloOf('deaf'));
    const pings = setInterval(() => socket.write('p\n'), 200);
    await until('the link', () => a.mesh.peers().length === 2);
    const text = 'x'.repeat(60_000);
    // More than the buffers of two sockets hold.
    for (let round = 0; round < 400 && kindsOf(a, 'left').length === 0; round += 1) {
      a.mesh.broadcast(text);
      await until('b to read', () => b.texts.length > round);
    }
    await until('its end', () => kindsOf(a, 'left').length === 1);
    clearInterval(pings);
    assert.ok((a.counts.get('sent dropped') ?? 0) > 0, 'what did not fit was dropped');
    assert.ok(linked(a, b));
    assert.ok(b.texts.every((one) => one.text === text));
  });

  test('what is no line, or too long for a frame, is dropped by the sender', async () => {
    const [a, b] = await pair();
    a.mesh.broadcast('two\nlines');
    a.mesh.broadcast('y'.repeat(70_000));
    a.mesh.broadcast('fine');
    await until('the text', () => b.texts.length === 1);
    assert.deepEqual([b.texts[0]?.text, a.counts.get('sent dropped')], ['fine', 2]);
  });
});
