/** Every strategy against what it looks at in earnest: a name server, an API server, multicast. */
import { createSocket, type Socket } from 'node:dgram';
import { startDnsServer, zone } from '../../../../../tests/support/dns-server.ts';
import { startKubernetesApi } from '../../../../../tests/support/kubernetes-api.ts';
import { systemRandom } from '../../platform/random/index.ts';
import { systemClock, systemTimers } from '../../platform/time/index.ts';
import { describeDiscovery, type World } from './discovery.contract.ts';
import type { Discovery, PeerAddress } from './discovery.ts';
import { createDnsDiscovery } from './dns.ts';
import { createGossipDiscovery } from './gossip.ts';
import { createKubernetesDiscovery } from './kubernetes.ts';
import { createStaticDiscovery } from './static.ts';

const port = 4_370;
const self: PeerAddress = { host: '10.2.0.1', port };
const peer = (number: number): PeerAddress => ({ host: `10.1.${number >> 8}.${number & 255}`, port });
const noFile = async (path: string): Promise<string> => {
  throw Object.assign(new Error(path), { code: 'ENOENT' });
};

async function staticWorld(): Promise<World> {
  const listed: PeerAddress[] = [];
  return {
    self,
    peer,
    add: async (...peers) => void listed.push(...peers),
    break: async () => undefined,
    mend: async () => undefined,
    create: (deps) => createStaticDiscovery(listed, deps),
    close: async () => undefined,
  };
}

interface DnsKind {
  readonly prefersMeshPort: boolean;
  readonly services: boolean;
  /** Nobody answers at the server's port, in place of nobody listening there. */
  readonly hangs?: boolean;
}

const dnsWorld = (kind: DnsKind) => async (): Promise<World> => {
  const server = await startDnsServer();
  const peers: PeerAddress[] = [];
  const name = `nodes.${zone}`;
  let silent: Socket | undefined;
  const publish = async (): Promise<void> => {
    if (!kind.services) return server.setRecords({ hosts: { [name]: peers.map(({ host }) => host) } });
    const targets = peers.map(({ host, port: own }) => ({
      target: `${host.replaceAll('.', '-')}.${name}`,
      port: own,
      host,
    }));
    const hosts = Object.fromEntries(targets.map(({ target, host }) => [target, [host]]));
    return server.setRecords({ hosts, services: { [`_mesh._tcp.${name}`]: targets } });
  };
  const mend = async (): Promise<void> => {
    if (silent !== undefined) await new Promise<void>((resolve) => silent?.close(() => resolve()));
    silent = undefined;
    await publish();
  };
  return {
    self,
    peer,
    async add(...more) {
      peers.push(...more);
      await publish();
    },
    async break() {
      await server.pause();
      if (kind.hangs !== true) return;
      const opened = createSocket('udp4');
      silent = opened;
      await new Promise<void>((resolve) => opened.bind(Number(server.address.split(':')[1]), '127.0.0.1', resolve));
    },
    mend,
    create: (deps) =>
      createDnsDiscovery(
        { name, port, prefersMeshPort: kind.prefersMeshPort },
        { ...deps, readFile: noFile, servers: [server.address] },
      ),
    async close() {
      if (silent !== undefined) await new Promise<void>((resolve) => silent?.close(() => resolve()));
      silent = undefined;
      await server.stop();
    },
  };
};

const kubernetesWorld = (failure: 'hang' | { readonly status: number }) => async (): Promise<World> => {
  const api = await startKubernetesApi();
  const labels = { app: 'auth-service' };
  return {
    self,
    peer,
    async add(...peers) {
      const more = peers.map(({ host }) => ({ name: host, namespace: 'auth', labels, phase: 'Running', podIP: host }));
      api.pods = [...api.pods, ...more];
    },
    async break() {
      api.behaviour = failure;
    },
    async mend() {
      api.behaviour = 'right';
    },
    create: (deps) =>
      createKubernetesDiscovery(
        { selector: 'app=auth-service', namespace: undefined, port, apiServer: api },
        {
          ...deps,
          readFile: async (path) => {
            const files: Readonly<Record<string, string>> = { 'ca.crt': api.ca, token: api.token, namespace: 'auth' };
            return files[path.split('/').at(-1) ?? ''] ?? noFile(path);
          },
        },
      ),
    close: () => api.stop(),
  };
};

async function gossipWorld(): Promise<World> {
  const group = { address: '233.252.1.32', port: await freeUdpPort(), ttl: 0 };
  const others: Discovery[] = [];
  let isBroken = false;
  const common = {
    secret: 'Qm6yVnV7o9s2kPzr1xEw8bTt4uJg3hLd',
    seeds: [],
    onCount: () => undefined,
    onWarning: () => undefined,
  };
  return {
    self,
    peer,
    async add(...peers) {
      for (const each of peers) {
        const other = createGossipDiscovery(group, {
          ...common,
          self: () => each,
          interfaces: () => ['127.0.0.1'],
          onFound: () => undefined,
          onState: () => undefined,
          clock: systemClock,
          timers: { after: (delayMs, run) => systemTimers.after(delayMs / 20, run) },
          random: systemRandom,
        });
        others.push(other);
        await other.start();
      }
    },
    async break() {
      isBroken = true;
    },
    async mend() {
      isBroken = false;
    },
    create: (deps) =>
      createGossipDiscovery(group, { ...common, ...deps, interfaces: () => (isBroken ? [] : ['127.0.0.1']) }),
    async close() {
      await Promise.all(others.map((other) => other.stop()));
    },
  };
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port: free } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return free;
}

describeDiscovery('static', staticWorld, { cannotFail: 'a list in the settings is always there' });
describeDiscovery('dns', dnsWorld({ prefersMeshPort: false, services: false }), {
  createHanging: dnsWorld({ prefersMeshPort: false, services: false, hangs: true }),
});
describeDiscovery('kubernetes-dns with a port called mesh', dnsWorld({ prefersMeshPort: true, services: true }), {
  createHanging: dnsWorld({ prefersMeshPort: true, services: true, hangs: true }),
});
describeDiscovery('kubernetes-dns without one', dnsWorld({ prefersMeshPort: true, services: false }));
describeDiscovery('kubernetes', kubernetesWorld({ status: 500 }), { createHanging: kubernetesWorld('hang') });
describeDiscovery('gossip', gossipWorld, { tellsOneAtATime: 'announcements come one by one' });
