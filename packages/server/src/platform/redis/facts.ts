/** What a server says of itself. What it does not tell (an ACL, an older version) is `null`. */
import type { RedisFacts, RedisKind } from './redis.ts';

type Ask = (name: string, ...args: string[]) => Promise<unknown>;

export async function readFacts(ask: Ask, kind: RedisKind): Promise<RedisFacts> {
  const info = fieldsOf(await ask('INFO'));
  const setting = async (name: string): Promise<string | null> => {
    const reply: unknown = await ask('CONFIG', 'GET', name).catch(() => null);
    return Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : null;
  };
  const save = await setting('save');
  const maxmemory = info.get('maxmemory') ?? (await setting('maxmemory'));
  const cluster = kind === 'cluster' ? fieldsOf(await ask('CLUSTER', 'INFO')) : null;
  const appendOnly = info.get('aof_enabled');
  return {
    version: info.get('redis_version') ?? 'unknown',
    maxmemoryPolicy: info.get('maxmemory_policy') ?? (await setting('maxmemory-policy')),
    maxmemory: maxmemory === null ? null : Number(maxmemory),
    appendOnly: appendOnly === undefined ? null : appendOnly === '1',
    snapshots: save === null ? null : save !== '',
    replicas: Number(info.get('connected_slaves') ?? 0),
    cluster:
      cluster === null
        ? null
        : {
            state: cluster.get('cluster_state') ?? 'unknown',
            slots: Number(cluster.get('cluster_slots_ok') ?? 0),
            masters: Number(cluster.get('cluster_size') ?? 0),
          },
  };
}

function fieldsOf(reply: unknown): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of String(reply).split('\r\n')) {
    const at = line.indexOf(':');
    if (at > 0 && !line.startsWith('#')) fields.set(line.slice(0, at), line.slice(at + 1));
  }
  return fields;
}
