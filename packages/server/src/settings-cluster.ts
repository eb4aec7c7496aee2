/**
 * The variables of clustering: what each may be, what they may be together, and what they mean. A strategy is available once
 * its adapter is (`cluster/discovery`).
 */
import {
  boolean,
  custom,
  inGroup,
  integer,
  list,
  oneOf,
  type Secret,
  type SettingProblem,
  secret,
  text,
  type ValuesOf,
} from './platform/config/index.ts';
import { hostPattern, hostPortList } from './settings-patterns.ts';

export interface ClusterSettings {
  readonly strategy: 'postgres' | 'redis' | 'gossip' | 'kubernetes' | 'kubernetes-dns' | 'dns' | 'static';
  readonly secret: Secret<string>;
  /** `0`: any free one. */
  readonly port: number;
  /** What the other nodes are told; the first address that is not loopback otherwise. */
  readonly address: string | undefined;
  readonly peers: readonly { readonly host: string; readonly port: number }[];
  readonly dnsQuery: string | undefined;
  readonly gossip: { readonly address: string; readonly port: number; readonly ttl: number };
  readonly kubernetes: { readonly selector: string | undefined; readonly namespace: string | undefined };
}

const gossipAddress = '233.252.1.32';
const gossipPort = 45_892;

export const clusterTable = inGroup('Clustering', {
  ENABLE_CLUSTERING: boolean({
    default: false,
    about: 'Work with other nodes on one database; needs PostgreSQL, `CLUSTER_SECRET` and `PUBLIC_URL`.',
  }),
  WORKERS: custom<'auto' | number, 1>({
    default: 1,
    values: '1 to 256, or auto',
    unavailable: true,
    about: 'Processes that share the port.',
    parse: (given) => {
      if (given === 'auto') return { ok: true, value: 'auto' };
      const count = /^\d{1,3}$/.test(given) ? Number(given) : 0;
      if (count >= 1 && count <= 256) return { ok: true, value: count };
      return { ok: false, problem: 'is no number of processes', mend: 'set a number from 1 to 256, or auto' };
    },
  }),
  CLUSTER_STRATEGY: oneOf({
    default: 'postgres',
    of: ['postgres', 'redis', 'gossip', 'kubernetes', 'kubernetes-dns', 'dns', 'static'],
    unavailable: true,
    about: 'How nodes find each other, beside the database that they share.',
  }),
  CLUSTER_SECRET: secret({
    bytesMin: 32,
    about: 'Authenticates and encrypts what nodes say to each other; the same on all of them.',
  }),
  CLUSTER_PORT: integer({
    default: 4370,
    min: 0,
    max: 65_535,
    about: 'Port for the other nodes (TCP); `0`: any free one.',
  }),
  CLUSTER_ADDRESS: text({
    default: undefined,
    shownDefault: 'first address that is not loopback',
    values: 'address',
    pattern: hostPattern,
    about: 'Address that the other nodes are told.',
  }),
  CLUSTER_PEERS: list({ ...hostPortList, about: 'The other nodes (`static`).' }),
  CLUSTER_DNS_QUERY: text({
    default: undefined,
    about: 'Name that resolves to all nodes (`dns`, `kubernetes-dns`).',
  }),
  CLUSTER_GOSSIP_ADDRESS: text({
    default: gossipAddress,
    pattern: hostPattern,
    about: 'Multicast address (`gossip`).',
  }),
  CLUSTER_GOSSIP_PORT: integer({ default: gossipPort, min: 1, max: 65_535, about: 'Multicast port, UDP (`gossip`).' }),
  CLUSTER_GOSSIP_TTL: integer({ default: 1, min: 0, max: 255, about: 'Multicast hops (`gossip`).' }),
  KUBERNETES_SELECTOR: text({ default: undefined, about: 'Label selector of the pods (`kubernetes`).' }),
  KUBERNETES_NAMESPACE: text({
    default: undefined,
    shownDefault: 'that of the pod itself',
    about: 'Namespace of the pods (`kubernetes`).',
  }),
});

type Values = ValuesOf<typeof clusterTable> & { readonly PUBLIC_URL: string | undefined };

export function clusterProblems(values: Values, isEmbedded: boolean): readonly SettingProblem[] {
  if (!values.ENABLE_CLUSTERING) return [];
  const problems: SettingProblem[] = [];
  const missing = (variable: keyof Values, neededBy: string, mend: string): void => {
    if (values[variable] === undefined || (variable === 'CLUSTER_PEERS' && values.CLUSTER_PEERS.length === 0)) {
      problems.push({ variable, problem: `is missing; it is required with ${neededBy}`, mend });
    }
  };
  if (isEmbedded) {
    const mend = 'set DATABASE_URL to PostgreSQL, or unset it';
    problems.push({ variable: 'ENABLE_CLUSTERING', problem: 'is set on the embedded store, which has one node', mend });
  }
  const clustering = 'ENABLE_CLUSTERING=true';
  missing('CLUSTER_SECRET', clustering, 'generate one with `openssl rand -base64 48` and give it to every node');
  missing('PUBLIC_URL', clustering, 'set the one address that all nodes are reached by');
  const strategy = values.CLUSTER_STRATEGY;
  const chosen = `CLUSTER_STRATEGY=${strategy}`;
  if (strategy === 'static') missing('CLUSTER_PEERS', chosen, 'set host:port,host:port,…');
  if (strategy === 'dns' || strategy === 'kubernetes-dns') {
    missing('CLUSTER_DNS_QUERY', chosen, 'set a name that resolves to all nodes');
  }
  if (strategy === 'kubernetes') {
    missing('KUBERNETES_SELECTOR', chosen, 'set the label selector of the pods, such as app=auth-service');
  }
  return problems;
}

export function clusterOf(values: Values): ClusterSettings | undefined {
  if (!values.ENABLE_CLUSTERING || values.CLUSTER_SECRET === undefined) return undefined;
  return {
    strategy: values.CLUSTER_STRATEGY,
    secret: values.CLUSTER_SECRET,
    port: values.CLUSTER_PORT,
    address: values.CLUSTER_ADDRESS?.replace(/^\[(.*)\]$/, '$1'),
    peers: values.CLUSTER_PEERS.map(readHostPort),
    dnsQuery: values.CLUSTER_DNS_QUERY,
    gossip: {
      address: values.CLUSTER_GOSSIP_ADDRESS,
      port: values.CLUSTER_GOSSIP_PORT,
      ttl: values.CLUSTER_GOSSIP_TTL,
    },
    kubernetes: { selector: values.KUBERNETES_SELECTOR, namespace: values.KUBERNETES_NAMESPACE },
  };
}

function readHostPort(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(colon + 1)) };
}
