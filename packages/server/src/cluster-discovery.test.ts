import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PeerAddress, readPeerAddress } from './cluster/index.ts';
import { startDiscovery } from './cluster-discovery.ts';
import { createLog } from './platform/log/index.ts';
import { systemClock, systemTimers } from './platform/time/index.ts';
import { loadSettings } from './settings.ts';

const machine = { hostName: 'host', suffix: 'abc', cores: 2, isTerminal: false };
const secret = 'Qm6yVnV7o9s2kPzr1xEw8bTt4uJg3hLd';

async function open(t: TestContext, variables: Readonly<Record<string, string>>) {
  const loaded = loadSettings(
    {
      ENABLE_CLUSTERING: 'true',
      DATABASE_URL: 'postgres://a:b@db/x',
      JWT_SECRET: `${secret}-root`,
      CLUSTER_SECRET: secret,
      PUBLIC_URL: 'https://auth.example.org',
      ...variables,
    },
    { readFile: () => '', machine },
  );
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const lines: string[] = [];
  const found: PeerAddress[] = [];
  const messages: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const log = createLog({ level: 'debug', format: 'json', destination });
  const running = await startDiscovery(
    {
      settings: loaded.settings,
      log,
      clock: systemClock,
      late: { core: { beat: { peers: () => [{ address: '10.0.0.2:4370' }, { address: null }, { address: 'x' }] } } },
      telemetry: { messaged: (direction, type) => messages.push(`${direction} ${type}`) },
    },
    { address: () => ({ host: '127.0.0.1', port: 4370 }), found: (peers) => found.push(...peers) },
    { after: (ms, run) => systemTimers.after(ms === 5_000 ? ms : ms / 50, run) },
  );
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= running.stop();
    return stopping;
  };
  t.after(stop);
  return { stop, lines, found, messages };
}

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 1_000 && !condition(); round++) await sleep(10);
  assert.ok(condition(), 'it never came to be');
}

describe('discovery in the service', () => {
  test('tells the mesh what the beat read of the others, where they say where they are', async (t) => {
    const { stop, found, lines } = await open(t, {});
    await until(() => found.length > 2 && lines.length > 0);
    await stop();
    assert.deepEqual(found[0], { host: '10.0.0.2', port: 4370 });
    assert.match(lines.join(''), /looks for other nodes: the table of leases tells 1 other address/);
  });

  test('counts announcements, and says once who holds another secret', async (t) => {
    const gossip = {
      CLUSTER_STRATEGY: 'gossip',
      CLUSTER_GOSSIP_PORT: String(30_000 + (process.pid % 10_000)),
      CLUSTER_GOSSIP_TTL: '0',
    };
    const ours = await open(t, gossip);
    const other = await open(t, { ...gossip, CLUSTER_SECRET: `${secret}-of-others` });
    await until(
      () =>
        ours.messages.includes('received refused') &&
        ours.messages.includes('sent membership') &&
        /another CLUSTER_SECRET/.test(ours.lines.join('')),
    );
    await Promise.all([ours.stop(), other.stop()]);
    assert.deepEqual(ours.found, []);
    assert.equal(ours.lines.join('').split('another CLUSTER_SECRET').length, 2);
    assert.ok(!ours.lines.join('').includes(secret));
  });

  test('says what it lacks, and goes on', async (t) => {
    const { stop, lines } = await open(t, { CLUSTER_STRATEGY: 'dns', CLUSTER_DNS_QUERY: 'no.such.name.invalid.' });
    await until(() => lines.length > 0);
    await stop();
    assert.match(lines.join(''), /"level":"warn".*finds no further nodes for now: DNS, no\.such\.name\.invalid/);
  });
});

test('an address of a lease is host:port, with brackets around IPv6', () => {
  assert.deepEqual(readPeerAddress('[fd00::1]:4370'), { host: 'fd00::1', port: 4370 });
  assert.deepEqual(readPeerAddress('a.example.com:1'), { host: 'a.example.com', port: 1 });
  for (const wrong of ['', 'a', 'a:', ':1', 'a:0', 'a:65536', 'fd00::1:4370', 'a b:1', '[]:1', 'a:1:2']) {
    assert.equal(readPeerAddress(wrong), undefined, wrong);
  }
});
