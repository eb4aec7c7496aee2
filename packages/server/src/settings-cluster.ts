/** The variables of clustering: what each may be, what they may be together, and what they mean. */
import {
  boolean,
  custom,
  type Environment,
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
import { hostPattern, hostPortList, readHostPort } from './settings-patterns.ts';

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
  readonly kubernetes: {
    readonly selector: string | undefined;
    /** `undefined`: that of the pod itself. */
    readonly namespace: string | undefined;
    /** What Kubernetes puts into every pod's environment. */
    readonly apiServer: { readonly host: string; readonly port: number } | undefined;
  };
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
    about: 'Processes that share the port; more than one needs PostgreSQL. `auto`: as many as cores.',
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
  CLUSTER_PEERS: list({
    ...hostPortList,
    about: 'Where other nodes listen (`static`, `gossip`); our own address may be among them.',
  }),
  CLUSTER_DNS_QUERY: text({
    default: undefined,
    values: 'name',
    pattern: [/^(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?$/, 'set a DNS name'],
    about:
      'Name that resolves to all nodes (`dns`: A and AAAA records, or SRV where it begins with `_`; `kubernetes-dns`: a headless service).',
  }),
  CLUSTER_GOSSIP_ADDRESS: text({
    default: gossipAddress,
    values: 'IPv4 multicast address',
    pattern: [
      /^(22[4-9]|23\d)(\.(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}$/,
      'set one from 224.0.0.0 to 239.255.255.255',
    ],
    about: 'Multicast group (`gossip`).',
  }),
  CLUSTER_GOSSIP_PORT: integer({ default: gossipPort, min: 1, max: 65_535, about: 'Multicast port, UDP (`gossip`).' }),
  CLUSTER_GOSSIP_TTL: integer({
    default: 1,
    min: 0,
    max: 255,
    about: 'Multicast hops (`gossip`); `0`: this machine alone.',
  }),
  KUBERNETES_SELECTOR: text({
    default: undefined,
    values: 'label selector',
    pattern: [/^[A-Za-z0-9!][A-Za-z0-9._/=!,() -]{0,1000}$/, 'set a label selector, such as app=auth-service'],
    about: 'Which pods (`kubernetes`).',
  }),
  KUBERNETES_NAMESPACE: text({
    default: undefined,
    shownDefault: 'that of the pod itself',
    pattern: [/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'set the name of a namespace'],
    about: 'Namespace of the pods (`kubernetes`).',
  }),
});

type Values = ValuesOf<typeof clusterTable> & { readonly PUBLIC_URL: string | undefined };
type Strategy = Values['CLUSTER_STRATEGY'];

/** What `settings-cluster` must know of the rest. */
export interface ClusterSurroundings {
  readonly isEmbedded: boolean;
  readonly hasRedis: boolean;
  readonly environment: Environment;
  readonly isSet: (variable: keyof typeof clusterTable) => boolean;
}

/** What only some strategies read. */
const readBy: readonly (readonly [variable: keyof typeof clusterTable, ...strategies: readonly Strategy[]])[] = [
  ['CLUSTER_PEERS', 'static', 'gossip'],
  ['CLUSTER_DNS_QUERY', 'dns', 'kubernetes-dns'],
  ['CLUSTER_GOSSIP_ADDRESS', 'gossip'],
  ['CLUSTER_GOSSIP_PORT', 'gossip'],
  ['CLUSTER_GOSSIP_TTL', 'gossip'],
  ['KUBERNETES_SELECTOR', 'kubernetes'],
];

export function workersProblems({ WORKERS: workers }: Values, isEmbedded: boolean): readonly SettingProblem[] {
  if (!isEmbedded || workers === 1) return [];
  const mend = 'set DATABASE_URL to PostgreSQL, or unset it';
  return [{ variable: 'WORKERS', problem: `is ${workers} on the embedded store, which has one process`, mend }];
}

export function clusterProblems(values: Values, around: ClusterSurroundings): readonly SettingProblem[] {
  if (!values.ENABLE_CLUSTERING) return [];
  const problems: SettingProblem[] = [];
  const missing = (variable: keyof Values, neededBy: string, mend: string): void => {
    if (values[variable] === undefined) {
      problems.push({ variable, problem: `is missing; it is required with ${neededBy}`, mend });
    }
  };
  if (around.isEmbedded) {
    const mend = 'set DATABASE_URL to PostgreSQL, or unset it';
    problems.push({ variable: 'ENABLE_CLUSTERING', problem: 'is set on the embedded store, which has one node', mend });
  }
  const clustering = 'ENABLE_CLUSTERING=true';
  missing('CLUSTER_SECRET', clustering, 'generate one with `openssl rand -base64 48` and give it to every node');
  missing('PUBLIC_URL', clustering, 'set the one address that all nodes are reached by');
  return [...problems, ...strategyProblems(values, around)];
}

function strategyProblems(values: Values, around: ClusterSurroundings): readonly SettingProblem[] {
  const strategy = values.CLUSTER_STRATEGY;
  const chosen = `CLUSTER_STRATEGY=${strategy}`;
  const problems: SettingProblem[] = [];
  const lacks = (variable: string, mend: string): void => {
    problems.push({ variable, problem: `is missing; it is required with ${chosen}`, mend });
  };
  const asksByOnePort = strategy === 'dns' || strategy === 'kubernetes-dns' || strategy === 'kubernetes';
  if (asksByOnePort && values.CLUSTER_PORT === 0) {
    const problem = `is 0, and ${chosen} finds nodes by one port that all of them have`;
    problems.push({ variable: 'CLUSTER_PORT', problem, mend: 'set the same port on every node' });
  }
  if (strategy === 'static' && values.CLUSTER_PEERS.length === 0) lacks('CLUSTER_PEERS', 'set host:port,host:port,…');
  if (strategy === 'dns' && values.CLUSTER_DNS_QUERY === undefined) {
    lacks('CLUSTER_DNS_QUERY', 'set a name that resolves to all nodes');
  }
  if (strategy === 'kubernetes-dns' && values.CLUSTER_DNS_QUERY === undefined) {
    lacks('CLUSTER_DNS_QUERY', 'set the name of a headless service');
  }
  if (strategy === 'kubernetes') {
    if (values.KUBERNETES_SELECTOR === undefined) {
      lacks('KUBERNETES_SELECTOR', 'set the label selector of the pods, such as app=auth-service');
    }
    if (apiServerOf(around.environment) === undefined) {
      const mend = 'run the service in a pod, where Kubernetes sets it, or choose another strategy';
      lacks('KUBERNETES_SERVICE_HOST', mend);
    }
  }
  if (strategy === 'redis' && !around.hasRedis) {
    const mend = 'set REDIS_URL or another of the Redis addresses, or choose another strategy';
    problems.push({ variable: 'CLUSTER_STRATEGY', problem: 'is redis, and there is no Redis', mend });
  }
  return problems;
}

/** Variables that were set and that nothing reads: not wrong, but perhaps not what was meant. */
export function clusterWarnings(values: Values, { isSet }: ClusterSurroundings): readonly SettingProblem[] {
  if (!values.ENABLE_CLUSTERING) return [];
  return readBy.flatMap(([variable, ...strategies]) => {
    if (!isSet(variable) || strategies.includes(values.CLUSTER_STRATEGY)) return [];
    const problem = `is not used with CLUSTER_STRATEGY=${values.CLUSTER_STRATEGY}`;
    return [{ variable, problem, mend: `unset it, or set CLUSTER_STRATEGY=${strategies.join(' or ')}` }];
  });
}

export function clusterOf(values: Values, environment: Environment): ClusterSettings | undefined {
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
    kubernetes: {
      selector: values.KUBERNETES_SELECTOR,
      namespace: values.KUBERNETES_NAMESPACE,
      apiServer: apiServerOf(environment),
    },
  };
}

/** No settings of ours: Kubernetes writes them. */
function apiServerOf(environment: Environment): { readonly host: string; readonly port: number } | undefined {
  const host = environment['KUBERNETES_SERVICE_HOST'];
  const port = environment['KUBERNETES_SERVICE_PORT_HTTPS'] ?? environment['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || !hostPattern[0].test(host) || !/^[1-9]\d{0,4}$/.test(port)) return undefined;
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}
