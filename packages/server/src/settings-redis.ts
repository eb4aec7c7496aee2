/** The variables of Redis: what each may be, what they may be together, and what they mean. */
import {
  boolean,
  createSecret,
  inGroup,
  integer,
  list,
  parseUrl,
  type ReadTextFile,
  type Secret,
  type SettingProblem,
  secret,
  secretUrl,
  text,
  type ValuesOf,
} from './platform/config/index.ts';
import type { RedisAddress, RedisKind } from './platform/redis/index.ts';
import { hostPattern, hostPortList, readHostPort } from './settings-patterns.ts';

export interface RedisSettings {
  readonly kind: RedisKind;
  readonly connection: Secret<RedisAddress>;
  readonly prefix: string;
}

export const redisTable = inGroup('Redis', {
  REDIS_URL: secretUrl({
    protocols: ['redis', 'rediss'],
    about: 'Redis, as one address: `redis[s]://[user:password@]host[:port][/database]`; `rediss` is TLS.',
  }),
  REDIS_HOST: text({ default: undefined, pattern: hostPattern, about: 'Host of Redis.' }),
  REDIS_PORT: integer({ default: 6379, min: 1, max: 65_535, about: 'Port of Redis.' }),
  REDIS_CLUSTER_NODES: list({ ...hostPortList, about: 'Some nodes of a Redis Cluster; they tell the others.' }),
  REDIS_SENTINELS: list({ ...hostPortList, about: 'Redis Sentinels; needs `REDIS_SENTINEL_NAME`.' }),
  REDIS_SENTINEL_NAME: text({
    default: undefined,
    pattern: [/^[A-Za-z0-9._-]{1,128}$/, 'set the name that `sentinel monitor` gives the master'],
    about: 'Name of the master that the Sentinels watch.',
  }),
  REDIS_SENTINEL_PASSWORD: secret({ placeholders: 'allowed', about: 'Password of the Sentinels themselves.' }),
  REDIS_USERNAME: text({ default: undefined, about: 'User of Redis, where it has more than the default one.' }),
  REDIS_PASSWORD: secret({ placeholders: 'allowed', about: 'Password of Redis.' }),
  REDIS_TLS: boolean({ default: false, about: 'TLS to Redis; with `REDIS_URL`, write `rediss://` instead.' }),
  REDIS_TLS_CA_FILE: text({
    default: undefined,
    shownDefault: "the system's authorities",
    values: 'path',
    about:
      'Authority (PEM) that the certificate of Redis is verified with. `?ca=PATH` at the end of `REDIS_URL` is the same.',
  }),
  REDIS_PREFIX: text({
    default: 'auth:',
    pattern: [/^[\x21-\x7a\x7c\x7e]{1,64}$/, 'set 1 to 64 characters without blanks and braces'],
    about: 'How keys and channels in Redis begin.',
  }),
});

type Values = ValuesOf<typeof redisTable>;
type Name = keyof Values;

const addresses = ['REDIS_URL', 'REDIS_HOST', 'REDIS_CLUSTER_NODES', 'REDIS_SENTINELS'] as const;

export const hasRedis = (values: Values): boolean => addressesOf(values).length > 0;

function addressesOf(values: Values): readonly (typeof addresses)[number][] {
  return addresses.filter((name) => {
    const value = values[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined;
  });
}

export function redisProblems(
  values: Values & { readonly SESSION_STORE: 'postgres' | 'redis' },
  isSet: (variable: Name) => boolean,
  readFile: ReadTextFile,
): readonly SettingProblem[] {
  const problems: SettingProblem[] = [];
  const tell = (variable: Name | 'SESSION_STORE', problem: string, mend: string): void => {
    problems.push({ variable, problem, mend });
  };
  const [chosen, ...others] = addressesOf(values);
  if (chosen === undefined) {
    const needy = Object.keys(redisTable) as Name[];
    for (const name of needy) {
      // A default that was written down asks for nothing.
      if (name === 'REDIS_PREFIX' || !isSet(name) || values[name] === redisTable[name].fallback) continue;
      tell(name, 'is set, and no address of Redis is', 'set REDIS_URL or REDIS_HOST, or unset it');
    }
    if (values.SESSION_STORE === 'redis') {
      tell('SESSION_STORE', 'is redis, and there is no Redis', 'set REDIS_URL, or SESSION_STORE=postgres');
    }
    return problems;
  }
  for (const name of others) {
    if (chosen !== 'REDIS_URL' || name !== 'REDIS_HOST') tell(name, `contradicts ${chosen}`, 'unset one of them');
  }
  if (chosen === 'REDIS_URL') problems.push(...urlProblems(values, isSet));
  if (isSet('REDIS_PORT') && chosen !== 'REDIS_URL' && chosen !== 'REDIS_HOST') {
    tell('REDIS_PORT', `is set, and ${chosen} has ports of its own`, 'unset it');
  }
  const isSentinel = chosen === 'REDIS_SENTINELS';
  if (isSentinel && values.REDIS_SENTINEL_NAME === undefined) {
    tell('REDIS_SENTINEL_NAME', 'is missing, and REDIS_SENTINELS is set', 'set the name of the master');
  }
  for (const name of ['REDIS_SENTINEL_NAME', 'REDIS_SENTINEL_PASSWORD'] as const) {
    if (!isSentinel && isSet(name)) tell(name, 'is set without REDIS_SENTINELS', 'set REDIS_SENTINELS, or unset it');
  }
  const caFile = caFileOf(values);
  const caName = values.REDIS_TLS_CA_FILE === undefined ? 'REDIS_URL' : 'REDIS_TLS_CA_FILE';
  if (caFile !== undefined && !usesTls(values))
    tell(caName, 'names an authority without TLS', 'set REDIS_TLS=true or rediss://');
  else if (caFile !== undefined && !isReadable(caFile, readFile)) {
    tell(caName, 'names a file of an authority that cannot be read', 'correct the path or the permissions');
  }
  return problems;
}

function urlProblems(values: Values, isSet: (variable: Name) => boolean): readonly SettingProblem[] {
  const url = urlOf(values);
  if (url === undefined) return [];
  const problems: SettingProblem[] = [];
  const given: readonly (readonly [Name, unknown, unknown])[] = [
    ['REDIS_HOST', values.REDIS_HOST, hostOf(url)],
    ['REDIS_PORT', values.REDIS_PORT, Number(url.port || 6379)],
    ['REDIS_USERNAME', values.REDIS_USERNAME, url.username === '' ? values.REDIS_USERNAME : decode(url.username)],
    ['REDIS_PASSWORD', values.REDIS_PASSWORD?.reveal(), passwordOf(url) ?? values.REDIS_PASSWORD?.reveal()],
    ['REDIS_TLS', values.REDIS_TLS, url.protocol === 'rediss:'],
    ['REDIS_TLS_CA_FILE', values.REDIS_TLS_CA_FILE, url.searchParams.get('ca') ?? values.REDIS_TLS_CA_FILE],
  ];
  for (const [variable, own, ofUrl] of given) {
    if (isSet(variable) && own !== ofUrl) {
      problems.push({ variable, problem: 'contradicts REDIS_URL', mend: 'unset one of them' });
    }
  }
  if (!/^\/?(\d{1,3})?$/.test(url.pathname)) {
    problems.push({
      variable: 'REDIS_URL',
      problem: 'does not end with a number of a database',
      mend: 'end it with /0, or nothing',
    });
  }
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'ca');
  if (unknown !== undefined) {
    problems.push({ variable: 'REDIS_URL', problem: 'has a query other than ca', mend: 'take it off' });
  }
  return problems;
}

export function redisOf(values: Values, readFile: ReadTextFile): RedisSettings | undefined {
  if (!hasRedis(values)) return undefined;
  const url = urlOf(values);
  const caFile = caFileOf(values);
  const common = {
    username: values.REDIS_USERNAME ?? (url === undefined || url.username === '' ? undefined : decode(url.username)),
    password: (url === undefined ? undefined : passwordOf(url)) ?? values.REDIS_PASSWORD?.reveal(),
    tls: usesTls(values) ? { ca: caFile === undefined ? undefined : readFile(caFile) } : undefined,
  };
  const address = addressOf(values, url, common);
  return { kind: address.kind, connection: createSecret(address), prefix: values.REDIS_PREFIX };
}

function addressOf(
  values: Values,
  url: URL | undefined,
  common: Pick<RedisAddress, 'username' | 'password' | 'tls'>,
): RedisAddress {
  if (url !== undefined) {
    const server = { host: hostOf(url), port: Number(url.port || 6379) };
    return { ...common, kind: 'single', server, database: Number(url.pathname.slice(1) || 0) };
  }
  if (values.REDIS_HOST !== undefined) {
    const host = values.REDIS_HOST.replace(/^\[(.*)\]$/, '$1');
    return { ...common, kind: 'single', server: { host, port: values.REDIS_PORT } };
  }
  if (values.REDIS_SENTINELS.length === 0) {
    return { ...common, kind: 'cluster', nodes: values.REDIS_CLUSTER_NODES.map(readHostPort) };
  }
  return {
    ...common,
    kind: 'sentinel',
    sentinels: values.REDIS_SENTINELS.map(readHostPort),
    name: values.REDIS_SENTINEL_NAME ?? '',
    sentinelPassword: values.REDIS_SENTINEL_PASSWORD?.reveal(),
  };
}

const urlOf = (values: Values): URL | undefined =>
  values.REDIS_URL === undefined ? undefined : parseUrl(values.REDIS_URL.reveal(), ['redis', 'rediss']);

const usesTls = (values: Values): boolean => values.REDIS_TLS || urlOf(values)?.protocol === 'rediss:';

const caFileOf = (values: Values): string | undefined =>
  values.REDIS_TLS_CA_FILE ?? urlOf(values)?.searchParams.get('ca') ?? undefined;

const hostOf = (url: URL): string => decode(url.hostname).replace(/^\[(.*)\]$/, '$1');

const passwordOf = (url: URL): string | undefined => (url.password === '' ? undefined : decode(url.password));

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function isReadable(path: string, readFile: ReadTextFile): boolean {
  try {
    return readFile(path) !== '';
  } catch {
    return false;
  }
}
