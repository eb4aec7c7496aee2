/** What was acknowledged, asked for again when all is over: is everything there, and nothing that had been ended? */

import { setTimeout as sleep } from 'node:timers/promises';
import type { TestPostgres } from '../support/postgres.ts';
import type { Client, Reply } from './client.ts';
import type { Audit } from './history.ts';
import type { Load } from './load.ts';

const lanes = 6;
const patienceMs = 10_000;

export async function auditFacts(options: {
  readonly load: Load;
  readonly clients: readonly Client[];
  readonly bed: { readonly postgres: TestPostgres; readonly databaseUrl: string };
}): Promise<Audit> {
  const { load, clients, bed } = options;
  const usersLost: string[] = [];
  const sessionsLost: string[] = [];
  const revocationsLost: string[] = [];
  let turn = 0;
  const next = (): Client => {
    turn += 1;
    const client = clients[turn % clients.length];
    if (client === undefined) throw new Error('there is no node to ask');
    return client;
  };

  await inLanes(load.users, async (user) => {
    const reply = await patiently(() => next().post('/api/auth/login', { email: user.email, password: user.password }));
    if (reply.status !== 200) usersLost.push(`the login of an acknowledged user was answered ${said(reply)}`);
  });
  const live = load.live();
  await inLanes(live, async (session) => {
    for (const client of clients) {
      const reply = await patiently(() => client.post('/api/auth/validate-token', { token: session.access }));
      if (reply.body['valid'] !== true) sessionsLost.push(`${client.node} called a live token ${said(reply)}`);
    }
    const reply = await patiently(() => next().post('/api/auth/refresh-token', { refresh_token: session.refresh }));
    if (reply.status !== 200 && !session.wiped) sessionsLost.push(`a live session was refreshed with ${said(reply)}`);
  });
  await inLanes(load.dead, async (session) => {
    for (const client of clients) {
      const reply = await patiently(() => client.post('/api/auth/validate-token', { token: session.access }));
      if (reply.status !== 200 || reply.body['valid'] !== false)
        revocationsLost.push(`${client.node} called a dead token ${said(reply)}`);
    }
    const reply = await patiently(() => next().post('/api/auth/refresh-token', { refresh_token: session.refresh }));
    if (reply.status !== 401) revocationsLost.push(`a dead session was refreshed with ${said(reply)}`);
  });
  const rows = await bed.postgres.query(
    `select target, count(*)::int as events from audit_events where type = 'session.logout' group by target`,
    bed.databaseUrl,
  );
  const events = new Map(rows.map((row) => [row['target'], row['events']]));
  const eventsWrong = load.dead
    .filter((session) => events.get(session.id) !== 1)
    .map((session) => `a logout has ${String(events.get(session.id) ?? 0)} events in the audit log`);
  return { users: load.users.length, usersLost, sessions: live.length, sessionsLost, revocationsLost, eventsWrong };
}

const said = (reply: Reply): string => `${reply.status} ${reply.code} ${JSON.stringify(reply.body['reason'] ?? '')}`;

/** Only what is said in the end counts: "later" is no answer. */
async function patiently(ask: () => Promise<Reply>): Promise<Reply> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const reply = await ask();
    if ((reply.status !== 503 && reply.status !== 0) || performance.now() > end) return reply;
    await sleep(100);
  }
}

async function inLanes<T>(list: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...list];
  const lane = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await act(one);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
