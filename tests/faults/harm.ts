/** Harm that is more than a signal or a cut: a full disk, no connection left, a flood of logins. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TestPostgres } from '../support/postgres.ts';
import type { Client } from './client.ts';
import type { User } from './load.ts';

/** Fills a disk to the last byte; answers what gives the space back. */
export function fillDisk(folder: string): () => void {
  const file = `${folder}/filler`;
  const handle = openSync(file, 'w');
  for (const size of [1024 * 1024, 4096, 1]) {
    const block = Buffer.alloc(size, 1);
    try {
      for (;;) writeSync(handle, block);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  closeSync(handle);
  return () => rmSync(file);
}

/** Takes every connection that the server has, those of the nodes included. */
export async function exhaustConnections(
  postgres: TestPostgres,
): Promise<{ held(): number; release(): Promise<void> }> {
  const held: pg.Client[] = [];
  const take = async (): Promise<boolean> => {
    const client = new pg.Client({ connectionString: postgres.url, connectionTimeoutMillis: 3_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      held.push(client);
      return true;
    } catch {
      return false;
    }
  };
  while (await take());
  const [first] = held;
  if (first === undefined) throw new Error('not one connection could be taken');
  // Those of the nodes end again and again, and somebody else is mostly quicker to take their places.
  const end = `select pg_terminate_backend(pid) from pg_stat_activity where datname like 'test\\_%'`;
  let released = false;
  const takeAll = async (): Promise<void> => {
    while (!released) if (!(await take())) await sleep(10);
  };
  const endAll = async (): Promise<void> => {
    for (; !released; await sleep(200)) await first.query(end);
  };
  const busy = Promise.all([endAll(), takeAll(), takeAll(), takeAll()]);
  return {
    held: () => held.length,
    async release() {
      released = true;
      await busy;
      await Promise.all(held.map((client) => client.end()));
    },
  };
}

export interface Flood {
  /** Answers by status; those that did not come, by why. */
  stop(): Promise<ReadonlyMap<string, number>>;
}

/** Logins that nobody waits for; every second one has a right password. */
export function floodLogins(clients: readonly Client[], users: readonly User[], perSecond: number): Flood {
  const answers = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  let sent = 0;
  let due = performance.now();
  const one = async (): Promise<void> => {
    sent += 1;
    const client = clients[sent % clients.length];
    const user = users[sent % users.length];
    if (client === undefined || user === undefined) throw new Error('a flood needs nodes and users');
    // Unknown accounts: nobody is locked out by them, and they cost as much.
    const body =
      sent % 2 === 0
        ? { email: user.email, password: user.password }
        : { email: `nobody-${sent}@example.org`, password: 'a wrong password' };
    const { status, code } = await client.post('/api/auth/login', body);
    const answer = status === 0 ? code : String(status);
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  };
  const timer = setInterval(() => {
    for (; due <= performance.now(); due += 1_000 / perSecond) {
      const asked: Promise<void> = one().finally(() => underWay.delete(asked));
      underWay.add(asked);
    }
  }, 10);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.allSettled(underWay);
      return answers;
    },
  };
}
