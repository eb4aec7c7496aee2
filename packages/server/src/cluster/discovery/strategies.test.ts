import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createSeededRandom } from '../../platform/random/seeded.ts';
import { createManualClock } from '../../platform/time/index.ts';
import type { PeerAddress } from './discovery.ts';
import { gossipInterfaces } from './networks.rule.ts';
import { createDiscovery, type DiscoveryDeps, type DiscoverySettings } from './strategies.ts';

const self = { host: '10.0.0.1', port: 4370 };
const listed = { host: 'b.example.com', port: 4370 };

function open(changes: Partial<DiscoverySettings>) {
  const clock = createManualClock();
  const told: PeerAddress[] = [];
  const states: string[] = [];
  const settings: DiscoverySettings = {
    strategy: 'static',
    secret: { reveal: () => 'Qm6yVnV7o9s2kPzr1xEw8bTt4uJg3hLd' },
    port: 4370,
    peers: [listed],
    dnsQuery: undefined,
    gossip: { address: '233.252.1.32', port: 45_892, ttl: 0 },
    kubernetes: { selector: undefined, namespace: undefined, apiServer: undefined },
    ...changes,
  };
  const deps: DiscoveryDeps = {
    self: () => self,
    readFile: async () => {
      throw Object.assign(new Error('no'), { code: 'ENOENT' });
    },
    networks: () => ({}),
    onFound: (peers) => told.push(...peers),
    onState: (state, reason) => states.push(`${state}: ${reason}`),
    onCount: () => undefined,
    onWarning: () => undefined,
    clock,
    timers: clock,
    random: createSeededRandom('strategies'),
  };
  return { discovery: createDiscovery(settings, deps), told, states };
}

async function startAndStop(changes: Partial<DiscoverySettings>) {
  const opened = open(changes);
  await opened.discovery.start();
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  await opened.discovery.stop();
  return opened;
}

describe('the strategy that the settings name', () => {
  test('static tells the listed addresses', async () => {
    assert.deepEqual((await startAndStop({ strategy: 'static' })).told, [listed]);
  });

  test('gossip tells the listed addresses beside what it hears, also on a machine without a network', async () => {
    const { told, states } = await startAndStop({ strategy: 'gossip' });
    assert.deepEqual(told, [listed]);
    assert.match(states.join(), /^failing: gossip, 233\.252\.1\.32:45892: this machine has no IPv4 network/);
  });

  test('kubernetes outside of a pod says which file it lacks', async () => {
    const kubernetes = { selector: 'app=auth', namespace: undefined, apiServer: { host: '10.96.0.1', port: 443 } };
    const { states } = await startAndStop({ strategy: 'kubernetes', kubernetes });
    assert.match(states.join(), /^failing: the Kubernetes API: \/var\/run\/secrets\/\S+ cannot be read \(ENOENT\)/);
  });

  test('what the settings refuse to start with is refused here too', () => {
    assert.throws(() => open({ strategy: 'kubernetes' }), /KUBERNETES_SELECTOR/);
    assert.throws(() => open({ strategy: 'dns' }), /CLUSTER_DNS_QUERY/);
  });
});

test('gossip speaks on the network of the told address, else on all, else on loopback', () => {
  const lo = { address: '127.0.0.1', internal: true };
  const a = { address: '10.0.0.1', internal: false };
  const b = { address: '10.1.0.1', internal: false };
  const six = { address: 'fd00::1', internal: false };
  assert.deepEqual(gossipInterfaces('10.1.0.1', { lo: [lo], eth0: [a, six], eth1: [b] }), ['10.1.0.1']);
  assert.deepEqual(gossipInterfaces('127.0.0.1', { lo: [lo], eth0: [a] }), ['127.0.0.1']);
  assert.deepEqual(gossipInterfaces('node.example.com', { lo: [lo], eth0: [a, six], eth1: [b] }), [
    '10.0.0.1',
    '10.1.0.1',
  ]);
  assert.deepEqual(gossipInterfaces(undefined, { lo: [lo], eth0: undefined }), ['127.0.0.1']);
});
