/** Gossip between several nodes by real multicast on loopback, with strangers among them. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemRandom } from '../../platform/random/index.ts';
import { type Clock, systemClock, systemTimers } from '../../platform/time/index.ts';
import type { Discovery, PeerAddress } from './discovery.ts';
import { createGossipDiscovery, type GossipDeps } from './gossip.ts';

const address = '233.252.1.32';
const secret = 'Qm6yVnV7o9s2kPzr1xEw8bTt4uJg3hLd';

interface Node {
  readonly discovery: Discovery;
  readonly told: PeerAddress[];
  readonly states: string[];
  readonly warnings: string[];
  readonly counts: Map<string, number>;
}

async function openGroup() {
  const socket = await openSocket(0);
  const { port } = socket.address();
  await close(socket);
  const nodes: Node[] = [];
  const sockets: Socket[] = [];
  return {
    port,
    async socket(...at: Parameters<typeof openSocket>): Promise<Socket> {
      const opened = await openSocket(...at);
      sockets.push(opened);
      return opened;
    },
    async node(number: number, changes: Partial<GossipDeps> = {}): Promise<Node> {
      const told: PeerAddress[] = [];
      const states: string[] = [];
      const warnings: string[] = [];
      const counts = new Map<string, number>();
      const discovery = createGossipDiscovery(
        { address, port, ttl: 0 },
        {
          secret,
          seeds: [],
          self: () => ({ host: `10.0.0.${number}`, port: 4370 }),
          interfaces: () => ['127.0.0.1'],
          onFound: (peers) => told.push(...peers),
          onState: (state, reason) => states.push(`${state}: ${reason}`),
          onCount: (kind) => counts.set(kind, (counts.get(kind) ?? 0) + 1),
          onWarning: (text) => warnings.push(text),
          clock: systemClock,
          timers: systemTimers,
          random: systemRandom,
          ...changes,
        },
      );
      const node = { discovery, told, states, warnings, counts };
      nodes.push(node);
      await discovery.start();
      return node;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...nodes.map(({ discovery }) => discovery.stop()), ...sockets.map(close)]);
    },
  };
}

describe('gossip', () => {
  test('20 nodes that start at once find each other, by few datagrams each', async () => {
    await using group = await openGroup();
    const nodes = await Promise.all(Array.from({ length: 20 }, (_, index) => group.node(index + 1)));
    const known = (node: Node): number => new Set(node.told.map(({ host }) => host)).size;
    await until(
      () => nodes.every((node) => known(node) === 19),
      () => nodes.map(known).join(),
    );
    for (const { counts } of nodes) assert.ok((counts.get('sent') ?? 0) < 25, String(counts.get('sent')));
  });

  test('a node that joins is answered at once, not at the next round', async () => {
    await using group = await openGroup();
    // Its rounds are a day apart: what it says after the first three is an answer.
    const slow = { after: (ms: number, run: () => void) => systemTimers.after(ms > 1_000 ? 86_400_000 : ms / 20, run) };
    const first = await group.node(1, { timers: slow });
    await until(() => first.counts.get('sent') === 3);
    await sleep(50);
    const second = await group.node(2, { timers: slow });
    await until(() => second.told.some(({ host }) => host === '10.0.0.1'));
  });

  test('CFG-07 strangers with another secret are counted and told once; neither side finds the other', async () => {
    await using group = await openGroup();
    const fast = { after: (ms: number, run: () => void) => systemTimers.after(ms / 50, run) };
    const ours = await group.node(1, { timers: fast });
    const stranger = await group.node(2, { secret: `${secret}2`, timers: fast });
    await until(() => (ours.counts.get('refused') ?? 0) > 10 && (stranger.counts.get('refused') ?? 0) > 10);
    assert.deepEqual([ours.told, stranger.told], [[], []]);
    assert.equal(ours.warnings.length, 1);
    assert.match(ours.warnings[0] ?? '', /another CLUSTER_SECRET/);
    assert.ok(!ours.warnings.join().includes(secret));
  });

  test('CFG-07 replayed, oversized and empty datagrams and noise are counted, and the others are still found', async () => {
    await using group = await openGroup();
    const ours = await group.node(1);
    const recorded: Buffer[] = [];
    const ear = await group.socket(group.port, address);
    ear.addMembership(address, '127.0.0.1');
    ear.on('message', (datagram) => recorded.push(datagram));
    await group.node(2);
    // Of both: our own come back to us too, and are not counted.
    await until(
      () => recorded.length >= 6 && ours.told.length > 0,
      () => `recorded ${recorded.length}`,
    );
    const mouth = await group.socket(0);
    mouth.setMulticastInterface('127.0.0.1');
    const say = (datagram: Buffer) => new Promise((resolve) => mouth.send(datagram, group.port, address, resolve));
    const toReplay = recorded.slice();
    for (let round = 0; round < 20; round++) for (const datagram of toReplay) await say(datagram);
    for (let round = 0; round < 20; round++) await say(Buffer.alloc(2_000, 'ASG1'));
    await say(Buffer.alloc(60_000, 'ASG1'));
    for (let round = 0; round < 20; round++) await say(Buffer.alloc(0));
    await until(
      () => (ours.counts.get('garbage') ?? 0) >= 30 && (ours.counts.get('repeated') ?? 0) >= 15,
      () => JSON.stringify([...ours.counts]),
    );
    await group.node(3);
    await until(() => ours.told.some(({ host }) => host === '10.0.0.3'));
    assert.deepEqual(
      ours.states.map((state) => state.split(':')[0]),
      ['working'],
    );
  });

  test('a node whose clock is an hour off is told of, once', async () => {
    await using group = await openGroup();
    const ahead: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + 3_600_000 };
    const ours = await group.node(1);
    await group.node(2, { clock: ahead });
    await until(() => (ours.counts.get('untimely') ?? 0) >= 2);
    assert.deepEqual([ours.told, ours.warnings.length], [[], 1]);
    assert.match(ours.warnings[0] ?? '', /3[56]\d\d s ahead/);
  });

  test('CLUSTER_PEERS are told beside, also while there is no network', async () => {
    await using group = await openGroup();
    const seed = { host: 'b.example.com', port: 4370 };
    const ours = await group.node(1, { seeds: [seed], interfaces: () => [] });
    await until(() => ours.told.length > 0);
    assert.deepEqual(ours.told[0], seed);
  });

  test('networks that cannot be listed for a while are told of and looked for again; nobody ends by it', async () => {
    await using group = await openGroup();
    const fast = { after: (ms: number, run: () => void) => systemTimers.after(ms / 50, run) };
    let left = 3;
    const interfaces = (): readonly string[] => {
      left -= 1;
      if (left >= 0) throw new Error('uv_interface_addresses returned EMFILE');
      return ['127.0.0.1'];
    };
    const ours = await group.node(1, { interfaces, timers: fast });
    await group.node(2, { timers: fast });
    await until(() => ours.told.length > 0 && ours.states.at(-1)?.startsWith('working') === true);
    assert.match(ours.states[0] ?? '', /^failing: gossip, 233\.252\.1\.32:\d+: .*EMFILE/);
  });

  test('a network that comes later is joined, one that is not there is told, and the rest works', async () => {
    await using group = await openGroup();
    const fast = { after: (ms: number, run: () => void) => systemTimers.after(ms / 50, run) };
    const places = ['203.0.113.77'];
    const ours = await group.node(1, { interfaces: () => places, timers: fast });
    await group.node(2, { timers: fast });
    await until(() => ours.states.length > 0);
    assert.match(ours.states[0] ?? '', /^failing: gossip, 233\.252\.1\.32:\d+: .*(EADDRNOTAVAIL|ENODEV)/);
    places.push('127.0.0.1');
    await until(() => ours.told.length > 0 && ours.states.at(-1)?.startsWith('working') === true);
  });

  test('nothing is announced before the mesh listens, and others are heard already', async () => {
    await using group = await openGroup();
    const fast = { after: (ms: number, run: () => void) => systemTimers.after(ms / 50, run) };
    let self: PeerAddress | undefined;
    const ours = await group.node(1, { self: () => self, timers: fast });
    const other = await group.node(2, { timers: fast });
    await until(() => ours.told.length > 0);
    assert.deepEqual([other.told, ours.counts.get('sent')], [[], undefined]);
    self = { host: '10.0.0.1', port: 4371 };
    await until(() => other.told.some(({ port }) => port === 4371));
  });
});

async function openSocket(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, host, resolve);
  });
  return socket;
}

const close = (socket: Socket): Promise<void> => new Promise((resolve) => socket.close(() => resolve()));

async function until(condition: () => boolean, what: () => string = () => ''): Promise<void> {
  for (let round = 0; round < 1_500; round++) {
    if (condition()) return;
    await sleep(10);
  }
  assert.fail(`it never came to be: ${what()}`);
}
