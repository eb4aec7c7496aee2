/**
 * Is Redis there? What looks wrong is a suspicion, a ping is the answer.
 *
 *   up --suspect, no answer or connection lost--> away --dialled anew--> up
 *
 * While away every call fails at once, and new clients are dialled with growing, jittered pauses. A quiet connection is asked each
 * second, so that the state is true without traffic. Each change is told once.
 */
import { Cluster } from 'ioredis';
import type { Client } from './dial.ts';
import { RedisUnavailable } from './redis.ts';
import { within } from './within.ts';

/** What is dialled and lost together. */
export interface Clients {
  readonly commands: Client;
  /** For writes that wait for replicas, which nothing else shall wait behind. */
  readonly durable: Client | undefined;
}

export interface CircuitOptions {
  readonly dial: () => Promise<Clients>;
  readonly mustBeMaster: boolean;
  readonly probeTimeoutMs: number;
  readonly random: () => number;
  readonly onState: (state: 'up' | 'away', reason: RedisUnavailable | undefined) => void;
  /** Of a Cluster that is up: how many masters do not answer. Told once for each change. */
  readonly onMastersAway: (count: number) => void;
  /** At each look: which do not, as `host:port`. */
  readonly onLook: (away: readonly string[]) => void;
}

export interface Circuit {
  readonly isUp: boolean;
  /** Of a Cluster that is up, as of the last second. */
  readonly mastersAway: number;
  start(): Promise<void>;
  /** Throws at once while Redis is away. */
  demand(): Clients;
  suspect(cause: unknown): void;
  close(): Promise<void>;
}

const pauseMsMin = 50;
const pauseMsMax = 1_000;
const watchMs = 1_000;

export function createCircuit(options: CircuitOptions): Circuit {
  let clients: Clients | undefined;
  let away = new RedisUnavailable('away', { cause: new Error('not connected yet') });
  let told: 'up' | 'away' | undefined;
  let probing = false;
  let mastersAway = 0;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let watch: NodeJS.Timeout | undefined;

  function tell(state: 'up' | 'away'): void {
    if (told === state || closed) return;
    told = state;
    options.onState(state, state === 'away' ? away : undefined);
  }

  function countMasters(count: number): void {
    if (mastersAway === count || closed) return;
    mastersAway = count;
    options.onMastersAway(count);
  }

  function drop(): void {
    const old = clients;
    clients = undefined;
    old?.commands.disconnect();
    old?.durable?.disconnect();
  }

  async function connect(): Promise<void> {
    const fresh = await options.dial();
    if (closed) {
      fresh.commands.disconnect();
      fresh.durable?.disconnect();
      return;
    }
    for (const client of [fresh.commands, fresh.durable]) {
      client?.once('end', () => {
        if (clients === fresh) goAway(new RedisUnavailable('away', { cause: new Error('the connection was lost') }));
      });
    }
    clients = fresh;
    tell('up');
  }

  function goAway(reason: RedisUnavailable): void {
    if (closed) return;
    away = reason;
    drop();
    mastersAway = 0;
    tell('away');
    lookAgain(pauseMsMin);
  }

  function lookAgain(pauseMs: number): void {
    clearTimeout(timer);
    if (closed) return;
    timer = setTimeout(
      () => {
        connect().catch((failure: unknown) => {
          if (failure instanceof RedisUnavailable) away = failure;
          lookAgain(Math.min(pauseMs * 2, pauseMsMax));
        });
      },
      pauseMs * (0.5 + options.random()),
    );
    timer.unref();
  }

  function suspect(cause: unknown): void {
    const suspected = clients;
    if (probing || suspected === undefined) return;
    probing = true;
    probe(suspected, options)
      .then((found) => {
        if (clients !== suspected) return;
        options.onLook(found);
        countMasters(found.length);
      })
      .catch((failure: unknown) => {
        if (clients === suspected) goAway(new RedisUnavailable('away', { cause: failure ?? cause }));
      })
      .finally(() => {
        probing = false;
      });
  }

  return {
    get isUp() {
      return clients !== undefined;
    },
    get mastersAway() {
      return mastersAway;
    },
    async start() {
      await connect().catch((failure: unknown) => goAway(failure as RedisUnavailable));
      watch = setInterval(() => {
        suspect(undefined);
        refreshSlots(clients);
      }, watchMs);
      watch.unref();
    },
    demand() {
      if (clients === undefined) throw new RedisUnavailable('away', { cause: away.cause });
      return clients;
    },
    suspect,
    async close() {
      closed = true;
      clearTimeout(timer);
      clearInterval(watch);
      drop();
    },
  };
}

/** Who has which slots may have changed without a command of ours that was sent elsewhere. */
function refreshSlots(clients: Clients | undefined): void {
  for (const client of [clients?.commands, clients?.durable]) {
    if (client instanceof Cluster) client.refreshSlotsCache();
  }
}

/**
 * Throws when nobody answers who could serve. Of a Cluster one master is enough, since the others' keys fail by themselves; answers
 * which do not.
 */
async function probe({ commands, durable }: Clients, options: CircuitOptions): Promise<readonly string[]> {
  const late = (): Error => new RedisUnavailable('deadline');
  // It may have to wait behind a wait for replicas.
  const [away] = await Promise.all([
    ask(commands, options.probeTimeoutMs),
    durable === undefined ? [] : ask(durable, options.probeTimeoutMs * 2),
  ]);
  return away;

  async function ask(client: Client, timeoutMs: number): Promise<readonly string[]> {
    if (client instanceof Cluster) {
      // By slots: the client forgets a node that it lost its connection to, until the next look at who has which slots.
      const nodes = new Map(client.nodes('master').map((node) => [`${node.options.host}:${node.options.port}`, node]));
      const owners = [...new Set(client.slots.map(([owner = '']) => owner))];
      const gone = new Error('the client has no connection to it');
      const answers = await Promise.allSettled(
        owners.map((owner) => within(timeoutMs, nodes.get(owner)?.ping() ?? Promise.reject(gone), late)),
      );
      if (answers.every((answer) => answer.status === 'rejected')) throw new Error('no master of the Cluster answers');
      return owners.filter((_, index) => answers[index]?.status === 'rejected');
    }
    if (!options.mustBeMaster) {
      await within(timeoutMs, client.ping(), late);
      return [];
    }
    const role: unknown = await within(timeoutMs, client.call('ROLE'), late);
    if (!Array.isArray(role) || role[0] !== 'master') throw new Error('the server is no master any more');
    return [];
  }
}
