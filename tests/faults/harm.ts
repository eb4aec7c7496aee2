/** Harm that is more than a signal or a cut: a full disk, no connection left, a flood of logins. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
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
): Promise<{ readonly held: number; release(): Promise<void> }> {
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
  // Those of the nodes end, and somebody else is quicker to take their places.
  const takeAll = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await take();
  };
  const ended = first.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'auth-service'`,
  );
  await Promise.all([ended, takeAll(), takeAll(), takeAll()]);
  return {
    held: held.length,
    async release() {
      await Promise.all(held.map((client) => client.end()));
    },
  };
}

export interface Flood {
  stop(): Promise<{ readonly statuses: ReadonlyMap<number, number> }>;
}

/** Logins that nobody waits for; every second one has a right password. */
export function floodLogins(clients: readonly Client[], users: readonly User[], perSecond: number): Flood {
  const statuses = new Map<number, number>();
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
    const { status } = await client.post('/api/auth/login', body);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
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
      return { statuses };
    },
  };
}
