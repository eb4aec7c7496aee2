/**
 * The standard load and its memory. Arrivals are open-loop: a slow service is not asked less. Each node is asked in turn, ready
 * or not. Every token that was revoked with an acknowledgement is then looked at on every node every 50 ms for some seconds,
 * and at random until the end.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Receipt, TokenAnswer } from '../../packages/protocol/src/index.ts';
import type { Client, Reply } from './client.ts';
import type { AcknowledgedRevocation, Call, Operation, Rotation, Verification } from './history.ts';

/** Requests a second. */
export type Rates = Readonly<Record<Operation, number>>;

export const standardLoad: Rates = { validate: 60, refresh: 6, login: 2, register: 1, logout: 3, guess: 1 };

export interface User {
  readonly email: string;
  readonly password: string;
}

export interface LiveSession {
  readonly number: number;
  readonly user: User;
  readonly id: string;
  access: string;
  refresh: string;
  counter: number;
  /** A refresh is under way. */
  busy: boolean;
  /** From then on it may be dead, whatever was answered. */
  endAsked: boolean;
  /** Its store was wiped: the access token is good, and there is nothing to refresh. */
  wiped: boolean;
}

export interface Load {
  readonly users: readonly User[];
  /** Sessions that nobody asked to end. */
  live(): readonly LiveSession[];
  /** Sessions whose end was acknowledged. */
  readonly dead: readonly LiveSession[];
  readonly calls: readonly Call[];
  readonly verifications: readonly Verification[];
  readonly revocations: readonly AcknowledgedRevocation[];
  readonly rotations: readonly Rotation[];
  readonly guesses: ReadonlyMap<string, number>;
  prepare(users: number, sessionsEach: number): Promise<void>;
  start(rates: Rates): void;
  /** No new request; resolves when all were answered or given up. */
  stop(): Promise<void>;
  /** One logout at this node (of any session), and the looks after it. */
  revokeAt(node: string): Promise<void>;
  /** The store of the sessions has lost all that it had. */
  sessionsWiped(): void;
}

const lookEveryMs = 50;
const lookForMs = 3_000;
const laterLooksPerSecond = 20;
const doubleRefreshes = 0.15;
const victims = 3;
const prepareLanes = 3;
const prepareMsMax = 60_000;

export function createLoad(clients: readonly Client[], random: () => number): Load {
  const users: User[] = [];
  const sessions = new Map<number, LiveSession>();
  const dead: LiveSession[] = [];
  const calls: Call[] = [];
  const verifications: Verification[] = [];
  const revocations: AcknowledgedRevocation[] = [];
  const rotations: Rotation[] = [];
  const guesses = new Map<string, number>();
  const guessed: User[] = [];
  const underWay = new Set<Promise<unknown>>();
  let timers: NodeJS.Timeout[] = [];
  let stopped = false;
  let turn = 0;
  let sessionsMade = 0;

  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const nextClient = (): Client => {
    turn += 1;
    const client = clients[turn % clients.length];
    if (client === undefined) throw new Error('the load needs a node');
    return client;
  };
  const clientOf = (node: string): Client => {
    const client = clients.find((one) => one.node === node);
    if (client === undefined) throw new Error(`there is no node ${node}`);
    return client;
  };
  const live = (): readonly LiveSession[] => [...sessions.values()].filter((session) => !session.endAsked);

  function note(op: Operation, node: string, reply: Reply, good: boolean, wronged?: string): void {
    const { sentMs, endMs, status, code } = reply;
    calls.push({ op, node, sentMs, endMs, status, code, good, wronged });
  }

  function keep(user: User, reply: Reply): LiveSession {
    const tokens = reply.body as unknown as TokenAnswer;
    const session: LiveSession = {
      number: sessionsMade++,
      user,
      id: tokens.session_id,
      access: tokens.access_token,
      refresh: tokens.refresh_token,
      counter: 0,
      busy: false,
      endAsked: false,
      wiped: false,
    };
    sessions.set(session.number, session);
    return session;
  }

  async function register(client: Client): Promise<User | undefined> {
    const name = randomBytes(8).toString('hex');
    const user = { email: `${name}@example.org`, password: `pw ${randomBytes(12).toString('base64url')}` };
    const reply = await client.post('/api/auth/register', { user });
    note('register', client.node, reply, reply.status === 201);
    if (reply.status !== 201) return undefined;
    keep(user, reply);
    return user;
  }

  async function login(client: Client, user = pick(users)): Promise<boolean> {
    if (user === undefined) return false;
    const reply = await client.post('/api/auth/login', { email: user.email, password: user.password });
    const good = reply.status === 200;
    const refused = reply.status >= 400 && reply.status < 500;
    note(
      'login',
      client.node,
      reply,
      good,
      refused ? `the right password was answered ${reply.status} ${reply.code}` : undefined,
    );
    if (good) keep(user, reply);
    return good;
  }

  async function validate(client: Client): Promise<void> {
    const session = pick(live());
    if (session === undefined) return;
    const reply = await client.post('/api/auth/validate-token', { token: session.access });
    const good = reply.status === 200 && reply.body['valid'] === true;
    const isWrong = !good && reply.status !== 503 && reply.status !== 0 && reply.status < 500 && !session.endAsked;
    note(
      'validate',
      client.node,
      reply,
      good || session.endAsked,
      isWrong ? `a live token was called ${String(reply.body['reason'] ?? reply.code)}` : undefined,
    );
  }

  async function refresh(client: Client): Promise<void> {
    const session = pick(live().filter((one) => !one.busy && !one.wiped));
    if (session === undefined) return;
    session.busy = true;
    const { counter, refresh: token } = session;
    const askers = random() < doubleRefreshes ? [client, nextClient()] : [client];
    await Promise.all(
      askers.map(async (asker) => {
        const reply = await asker.post('/api/auth/refresh-token', { refresh_token: token });
        const good = reply.status === 200;
        const isWrong = reply.status >= 400 && reply.status < 500 && !session.endAsked && !session.wiped;
        note(
          'refresh',
          asker.node,
          reply,
          good || session.endAsked || session.wiped,
          isWrong ? `a live session was answered ${reply.status} ${reply.code}` : undefined,
        );
        if (!good) return;
        const tokens = reply.body as unknown as TokenAnswer;
        rotations.push({ session: session.number, counter, successor: tokens.refresh_token });
        session.access = tokens.access_token;
        session.refresh = tokens.refresh_token;
        session.counter = counter + 1;
      }),
    );
    session.busy = false;
  }

  async function logout(client: Client): Promise<void> {
    const session = pick(live().filter((one) => !one.busy));
    if (session === undefined) return;
    session.endAsked = true;
    const reply = await client.post('/api/auth/logout', undefined, { token: session.access });
    const isWrong = reply.status >= 400 && reply.status < 500;
    note(
      'logout',
      client.node,
      reply,
      reply.status === 200,
      isWrong ? `a live token was answered ${reply.status} ${reply.code}` : undefined,
    );
    if (reply.status !== 200) return;
    const receipt = reply.body as unknown as Receipt;
    revocations.push({
      session: session.number,
      node: client.node,
      sentMs: reply.sentMs,
      answeredMs: reply.endMs,
      everywhere: receipt.effective_everywhere,
      pending: receipt.pending_nodes,
      // The receipt tells whole milliseconds.
      effectiveByMs: performance.now() + Date.parse(receipt.effective_by) - Date.now() + 2,
    });
    dead.push(session);
    await Promise.all(clients.map((one) => lookAt(session, one, reply.endMs + lookForMs)));
  }

  async function look(session: LiveSession, client: Client): Promise<void> {
    const { sentMs, endMs, status, body } = await client.post('/api/auth/validate-token', { token: session.access });
    const valid = status === 200 && body['valid'] === true;
    verifications.push({ session: session.number, node: client.node, sentMs, endMs, status, valid });
  }

  async function lookAt(session: LiveSession, client: Client, untilMs: number): Promise<void> {
    while (performance.now() < untilMs && !stopped) {
      await look(session, client);
      await sleep(lookEveryMs);
    }
  }

  async function guess(client: Client): Promise<void> {
    const user = pick(guessed);
    if (user === undefined) return;
    const reply = await client.post('/api/auth/login', {
      email: user.email,
      password: `wrong ${randomBytes(6).toString('hex')}`,
    });
    note('guess', client.node, reply, reply.status === 401 || reply.status === 429);
    if (reply.status === 401) guesses.set(user.email, (guesses.get(user.email) ?? 0) + 1);
  }

  function track(work: Promise<unknown>): void {
    const tracked = work.finally(() => underWay.delete(tracked));
    underWay.add(tracked);
  }

  function every(perSecond: number, act: () => Promise<unknown>): void {
    if (perSecond === 0) return;
    let due = performance.now() + (random() * 1_000) / perSecond;
    // Sleeps that come late are made up for: the rate is what was asked.
    const tick = setInterval(() => {
      for (; due <= performance.now(); due += 1_000 / perSecond) track(act());
    }, 10);
    timers.push(tick);
  }

  return {
    users,
    live,
    dead,
    calls,
    verifications,
    revocations,
    rotations,
    guesses,
    async prepare(count, sessionsEach) {
      const end = performance.now() + prepareMsMax;
      const insist = async <T>(make: () => Promise<T | undefined | false>): Promise<T> => {
        for (;;) {
          const made = await make();
          if (made !== undefined && made !== false) return made;
          if (performance.now() > end) throw new Error('the load could not be prepared: see the logs of the nodes');
          await sleep(100);
        }
      };
      const lanes = Array.from({ length: prepareLanes }, async (_, lane) => {
        for (let at = lane; at < count + victims; at += prepareLanes) {
          const user = await insist(() => register(nextClient()));
          (at < victims ? guessed : users).push(user);
          for (let more = 1; at >= victims && more < sessionsEach; more += 1) {
            await insist(() => login(nextClient(), user));
          }
        }
      });
      await Promise.all(lanes);
      calls.length = 0;
    },
    start(rates) {
      every(rates.validate, () => validate(nextClient()));
      every(rates.refresh, () => refresh(nextClient()));
      every(rates.login, () => login(nextClient()));
      every(rates.register, async () => {
        const user = await register(nextClient());
        if (user !== undefined) users.push(user);
      });
      every(rates.logout, () => logout(nextClient()));
      every(rates.guess, () => guess(nextClient()));
      every(laterLooksPerSecond, async () => {
        const session = pick(dead);
        if (session !== undefined) await look(session, nextClient());
      });
    },
    async stop() {
      for (const timer of timers) clearInterval(timer);
      timers = [];
      stopped = true;
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
    revokeAt: (node) => logout(clientOf(node)),
    sessionsWiped() {
      for (const session of sessions.values()) session.wiped = true;
    },
  };
}
