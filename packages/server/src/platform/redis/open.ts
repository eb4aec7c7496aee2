/** Redis, opened: see `redis.ts` for what holds. */
import { createHash } from 'node:crypto';
import { Cluster, Redis as Single } from 'ioredis';
import type { Random } from '../random/index.ts';
import type { Clock } from '../time/index.ts';
import { type Clients, createCircuit } from './circuit.ts';
import { countKeysOf } from './count-keys.ts';
import { type Client, type DialOptions, dial, dialOne, type RedisAddress } from './dial.ts';
import { createDurableLane, type DurableLane } from './durable.ts';
import { readFacts } from './facts.ts';
import { isDeadline, isMoved, isNoScript, isSuspicious, translateFailure } from './failures.ts';
import { makeKey, slotOf } from './keys.rule.ts';
import { createListener } from './listener.ts';
import { type Redis, type RedisArgument, type RedisFunction, RedisUnavailable, type ReplicasWanted } from './redis.ts';
import { createShards } from './shards.ts';
import { within } from './within.ts';

export interface RedisOptions {
  readonly address: RedisAddress;
  /** Before every key and channel. */
  readonly prefix: string;
  readonly connectionName: string;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: Pick<Random, 'bytes'>;
  /** Opens the connection that `runDurably` wants. */
  readonly durableWrites?: boolean;
  readonly deadlineMs?: number;
  readonly observe?: (command: string, seconds: number, ok: boolean) => void;
  /** Once for each change; the first time when it is known. */
  readonly onState?: (state: 'up' | 'away', reason: RedisUnavailable | undefined) => void;
  /** Of a Cluster that is up: how many masters do not answer. Once for each change. */
  readonly onMastersAway?: (count: number) => void;
}

const deadlineMsDefault = 500;
const dialTimeoutMs = 1_500;
const namePattern = /[^A-Za-z0-9._-]/g;

export async function open(options: RedisOptions): Promise<Redis> {
  const { address, prefix, clock, observe } = options;
  const deadlineMs = options.deadlineMs ?? deadlineMsDefault;
  const connectionName = options.connectionName.replaceAll(namePattern, '-').slice(0, 64);
  const dialOptions: DialOptions = { address, deadlineMs, dialTimeoutMs, connectionName };
  const shards = createShards(clock.monotonicMs);
  let lanes = new WeakMap<Client, DurableLane>();

  const circuit = createCircuit({
    mustBeMaster: address.kind === 'sentinel',
    probeTimeoutMs: deadlineMs,
    // Pauses between attempts; no secret and no decision hangs on it.
    random: () => (options.random.bytes(1)[0] ?? 0) / 256,
    dial: () => dialAll(dialOptions, options.durableWrites === true),
    onState(state, reason) {
      if (state === 'up') {
        shards.clear();
        lanes = new WeakMap();
      }
      options.onState?.(state, reason);
    },
    onLook: (away) => {
      for (const master of away) shards.failed(master);
    },
    onMastersAway: (count) => options.onMastersAway?.(count),
  });

  /** One call: refused at once while away, ended at its deadline, measured, and its failure understood. */
  async function call<T>(
    name: string,
    shardOf: () => string | undefined,
    work: () => Promise<T>,
    patienceMs = deadlineMs,
  ): Promise<T> {
    circuit.demand();
    const shard = shardOf();
    if (shard !== undefined) shards.demand(shard);
    const began = clock.monotonicMs();
    try {
      const value = await within(patienceMs, work(), () => new RedisUnavailable('deadline'));
      if (shard !== undefined) shards.answered(shard);
      observe?.(name, (clock.monotonicMs() - began) / 1_000, true);
      return value;
    } catch (failure) {
      observe?.(name, (clock.monotonicMs() - began) / 1_000, false);
      const error = translateFailure(failure);
      if (isSuspicious(error)) {
        // Who was impatient shall not close the door to who is not.
        const isSure = patienceMs >= deadlineMs || !isDeadline(error);
        if (shard !== undefined && isSure) shards.failed(shard);
        circuit.suspect(error);
      }
      throw error;
    }
  }

  const listener = createListener({
    dial: (turn) => dialOne(dialOptions, turn),
    channel: (name) => `${prefix}${name}`,
    canary: `canary:${options.random.bytes(9).toString('base64url')}`,
    publish,
    monotonicMs: clock.monotonicMs,
  });

  async function publish(channel: string, message: string): Promise<void> {
    const { commands } = circuit.demand();
    await call('publish', nowhere, () => commands.call('PUBLISH', `${prefix}${channel}`, message));
  }

  await circuit.start();

  return {
    kind: address.kind,
    place: placeOf(address),
    get isUp() {
      return circuit.isUp;
    },
    get mastersAway() {
      return circuit.mastersAway;
    },
    get hears() {
      return listener.hears;
    },
    key: (kind, tag, rest) => makeKey(prefix, kind, tag, rest),
    async run(fn, keys, args, patienceMs) {
      checkKeys(fn, keys);
      const { commands } = circuit.demand();
      const work = () => evaluate(commands, fn, keys, args);
      return fn.parse(await call(fn.name, () => shardOf(commands, keys[0]), work, patienceMs));
    },
    async runDurably(fn, keys, args, wait) {
      checkKeys(fn, keys);
      const { durable } = circuit.demand();
      if (durable === undefined) throw new Error('Redis was opened without durableWrites');
      const shard = shardOf(durable, keys[0]);
      const { value, acknowledged, isEnough } = await call(
        fn.name,
        () => shard,
        async () => {
          const node = nodeOf(durable, shard);
          if (node === undefined) return { value: await evaluate(durable, fn, keys, args), ...notKnown };
          let lane = lanes.get(node);
          if (lane === undefined) {
            lane = createDurableLane(node, clock.monotonicMs);
            lanes.set(node, lane);
          }
          return evaluateDurably(durable, lane, fn, keys, args, wait);
        },
      );
      return { value: fn.parse(value), acknowledged, isEnough };
    },
    publish,
    subscribe: listener.subscribe,
    async ping() {
      const began = clock.monotonicMs();
      const { commands } = circuit.demand();
      await call('ping', nowhere, () => commands.call('PING'));
      return clock.monotonicMs() - began;
    },
    async countKeys(kind) {
      const { commands } = circuit.demand();
      const masters = commands instanceof Cluster ? commands.nodes('master') : [commands];
      const counts = masters.map((master) => countKeysOf(master, `${prefix}${kind}:{`));
      const found = await call('count_keys', nowhere, () => Promise.all(counts));
      return found.reduce((sum, count) => sum + count, 0);
    },
    facts: () => readFacts((name, ...args) => circuit.demand().commands.call(name, ...args), address.kind),
    async close() {
      listener.close();
      await circuit.close();
    },
  };
}

/** All or none. What is sent on the connection for durable writes may stand behind a wait for replicas. */
async function dialAll(options: DialOptions, durableWrites: boolean): Promise<Clients> {
  const commands = await dial(options);
  if (!durableWrites) return { commands, durable: undefined };
  try {
    return { commands, durable: await dial({ ...options, deadlineMs: options.deadlineMs * 2 }) };
  } catch (failure) {
    commands.disconnect();
    throw failure;
  }
}

const nowhere = (): undefined => undefined;
const notKnown = { acknowledged: null, isEnough: false } as const;

function checkKeys(fn: RedisFunction<unknown>, keys: readonly string[]): void {
  if (keys.length !== fn.keys) throw new Error(`the function ${fn.name} takes ${fn.keys} keys`);
}

/** The master that has the key's slot, as far as the client knows. */
function shardOf(client: Client, key: string | undefined): string | undefined {
  if (!(client instanceof Cluster) || key === undefined) return undefined;
  return client.slots[slotOf(key)]?.[0];
}

function nodeOf(client: Client, shard: string | undefined): Single | undefined {
  if (client instanceof Single) return client;
  return client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === shard);
}

const digests = new Map<string, string>();

function digestOf(fn: RedisFunction<unknown>): string {
  let digest = digests.get(fn.name);
  if (digest === undefined) {
    digest = createHash('sha1').update(fn.text).digest('hex');
    digests.set(fn.name, digest);
  }
  return digest;
}

async function evaluate(
  client: Client,
  fn: RedisFunction<unknown>,
  keys: readonly string[],
  args: readonly RedisArgument[],
): Promise<unknown> {
  try {
    return await client.call('EVALSHA', digestOf(fn), fn.keys, ...keys, ...args);
  } catch (failure) {
    // A server that was restarted or emptied, or a new master, has not seen it yet; nothing was done.
    if (!isNoScript(failure)) throw failure;
    return client.call('EVAL', fn.text, fn.keys, ...keys, ...args);
  }
}

async function evaluateDurably(
  client: Client,
  lane: DurableLane,
  fn: RedisFunction<unknown>,
  keys: readonly string[],
  args: readonly RedisArgument[],
  { replicas, timeoutMs }: { readonly replicas: ReplicasWanted; readonly timeoutMs: number },
): Promise<{ readonly value: unknown; readonly acknowledged: number | null; readonly isEnough: boolean }> {
  const write = (how: 'EVAL' | 'EVALSHA', what: string) =>
    lane.write((pipeline) => pipeline.call(how, what, fn.keys, ...keys, ...args), replicas, timeoutMs);
  try {
    return await write('EVALSHA', digestOf(fn));
  } catch (failure) {
    if (isNoScript(failure)) return write('EVAL', fn.text);
    if (!isMoved(failure)) throw failure;
    return { value: await evaluate(client, fn, keys, args), ...notKnown };
  }
}

function placeOf(address: RedisAddress): string {
  const text = ({ host, port }: { host: string; port: number }): string =>
    `${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (address.kind === 'single') return text(address.server);
  if (address.kind === 'sentinel') return `${address.name} of ${address.sentinels.map(text).join(',')}`;
  return address.nodes.map(text).join(',');
}
