/** What `doctor` finds of Redis, and what to mend. */
import type { Finding } from './finding.ts';
import { systemRandom } from './platform/random/index.ts';
import { openRedis, type Redis, type RedisFacts, reasonOf } from './platform/redis/index.ts';
import { systemClock } from './platform/time/index.ts';
import type { Settings } from './settings.ts';

const versionMin = [6, 2] as const;
const slots = 16_384;

export async function redisFindings(settings: Settings): Promise<readonly Finding[]> {
  const { redis: wanted, sessionStore } = settings;
  if (wanted === undefined)
    return [{ check: 'redis', status: 'ok', detail: 'not configured; state is kept in this process' }];
  let away: unknown;
  let redis: Redis | undefined;
  try {
    redis = await openRedis({
      address: wanted.connection.reveal(),
      prefix: wanted.prefix,
      connectionName: 'auth-service/doctor',
      clock: systemClock,
      random: systemRandom,
      onState: (state, reason) => {
        if (state === 'away') away ??= reason;
      },
    });
    const where = `${wanted.kind === 'single' ? '' : `${wanted.kind} `}${redis.place}`;
    if (!redis.isUp) {
      const detail = `${where} does not answer (${reasonOf(away)}): correct the address, the name, the password, TLS or the firewall`;
      return [{ check: 'redis', status: 'failed', detail }];
    }
    const latency = Math.round(await redis.ping());
    const reached: Finding = { check: 'redis', status: 'ok', detail: `${where} answers in ${latency} ms` };
    return [reached, ...judge(await redis.facts(), wanted.kind, sessionStore === 'redis')];
  } catch (error) {
    const detail = `answers, but not to what is asked (${reasonOf(error)}): allow its user INFO, and what the documents list`;
    return [{ check: 'redis', status: 'failed', detail }];
  } finally {
    await redis?.close();
  }
}

/** `holdsSessions`: what would be a nuisance for rate limits is a loss then. */
export function judge(facts: RedisFacts, kind: Redis['kind'], holdsSessions: boolean): readonly Finding[] {
  const findings: Finding[] = [];
  const tell = (check: string, status: Finding['status'], detail: string): void => {
    findings.push({ check, status, detail });
  };
  const worse = holdsSessions ? 'failed' : 'warning';
  const [major = 0, minor = 0] = facts.version.split('.').map(Number);
  const isOld = major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1]);
  tell(
    'redis version',
    isOld ? 'failed' : 'ok',
    isOld ? `${facts.version}: upgrade to ${versionMin.join('.')} or later` : facts.version,
  );

  if (facts.maxmemoryPolicy === null) tell('redis memory', 'warning', 'the server does not tell its maxmemory-policy');
  else if (facts.maxmemoryPolicy === 'noeviction') tell('redis memory', 'ok', 'maxmemory-policy is noeviction');
  else if (holdsSessions || (facts.maxmemory ?? 0) > 0) {
    const loss = holdsSessions ? 'sessions' : 'counters of rate limits';
    tell('redis memory', worse, `maxmemory-policy is ${facts.maxmemoryPolicy}, which drops ${loss}: set noeviction`);
  } else
    tell('redis memory', 'ok', `maxmemory-policy is ${facts.maxmemoryPolicy}, without a limit that it would act on`);

  const isKept = facts.appendOnly === true;
  if (holdsSessions && !isKept) {
    const what =
      facts.snapshots === true
        ? 'snapshots alone: a crash loses minutes of sessions'
        : 'nothing: a restart loses all sessions';
    tell('redis persistence', 'warning', `it keeps ${what}; set appendonly yes`);
  } else tell('redis persistence', 'ok', isKept ? 'appendonly is on' : 'off; only rate limits are lost by a restart');

  if (facts.cluster !== null) {
    const { state, slots: covered, masters } = facts.cluster;
    const isWhole = state === 'ok' && covered === slots;
    const detail = isWhole
      ? `whole, with ${masters} masters`
      : `state ${state}, ${covered} of ${slots} slots served: see redis-cli --cluster check`;
    tell('redis cluster', isWhole ? 'ok' : 'failed', detail);
  }
  if (kind === 'sentinel' && facts.replicas === 0) {
    tell('redis replicas', 'warning', 'the master has none that the Sentinels could promote: start one');
  }
  return findings;
}
