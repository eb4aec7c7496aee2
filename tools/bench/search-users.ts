/**
 * Lists and searches of accounts among very many, through HTTP: `node tools/bench/search-users.ts [accounts] [--plans]`.
 *
 * A service on PostgreSQL of its own, a million accounts where not said otherwise, then each question in turn, many times, as an
 * administrator asks it; the questions take turns, so that what else the machine does meets all of them alike. With `--plans` the
 * plan of each is shown, as the store carries it out.
 */

import { randomBytes } from 'node:crypto';
import { listUsers } from '../../packages/server/src/administration/users-list.ts';
import { openPostgres, type Queryable, type Statement } from '../../packages/server/src/platform/database/index.ts';
import { tokensOf } from '../../tests/support/http.ts';
import { sharedPostgres, startService } from '../../tests/support/service.ts';

const accounts = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 1_000_000);
const withPlans = process.argv.includes('--plans');
const rounds = 60;
const admin = { email: 'admin@bench.example', password: randomBytes(18).toString('base64url') };

interface Question {
  readonly what: string;
  readonly search?: string;
  readonly status?: 'active' | 'disabled';
  readonly role?: string;
}

const questions: readonly Question[] = [
  { what: 'the newest' },
  { what: 'one address', search: 'mara.oduya.264@' },
  { what: 'addresses, some hundreds', search: 'mara.od' },
  { what: 'addresses, an eighth of all', search: 'm' },
  { what: 'last names', search: 'Oduya' },
  { what: 'nothing', search: 'zzzz' },
  { what: 'a domain', search: '@d77.example' },
  { what: 'domains, all of them', search: '@d' },
  { what: 'those disabled', status: 'disabled' },
  { what: 'a rare role', role: 'rare' },
  { what: 'a role of all', role: 'user' },
  { what: 'addresses of disabled ones', search: 'mara', status: 'disabled' },
  { what: 'addresses of a rare role', search: 'mara', role: 'rare' },
];

const fill = `
  insert into users (id, email, email_key, email_verified, first_name, last_name, roles, status, created_at)
  select (lpad(to_hex(1700000000000 + n), 12, '0') || '7000800000000000' || lpad(to_hex(n), 4, '0'))::uuid,
         key, key, true, first, last, case when n % 50000 = 0 then '{rare,user}' else '{user}' end::text[],
         case when n % 10000 = 0 then 'disabled' else 'active' end, now() - n * interval '1 second'
    from (select n, first, last, lower(first || '.' || last) || '.' || n || '@d' || n % 997 || '.example' as key
            from (select n, (array['Mara','Ada','Bo','Chi','Dee','Eli','Fay','Gus'])[1 + n % 8] as first,
                         (array['Oduya','Byron','Hopper','Ng','Silva','Kaya','Ruiz','Weber','Sato','Khan','Diaz'])[1 + n % 11]
                           || case when n % 3 = 0 then '' else chr(97 + n % 26) || chr(97 + n / 26 % 26) end as last
                    from generate_series(1, ${accounts}) n) names) rows`;

const service = await startService({
  store: 'postgres',
  env: { BOOTSTRAP_ADMIN_EMAIL: admin.email, BOOTSTRAP_ADMIN_PASSWORD: admin.password, RATE_LIMIT_ENABLED: 'false' },
});
try {
  const server = await sharedPostgres();
  const url = service.databaseUrl ?? '';
  const began = performance.now();
  // Indexes are built when the rows are there: a tenth of the time.
  const indexes = await server.query(
    `select indexname as name, indexdef as text from pg_indexes i where tablename = 'users'
      and not exists (select from pg_constraint where conname = i.indexname)`,
    url,
  );
  for (const { name } of indexes) await server.query(`drop index ${String(name)}`, url);
  await server.query(fill, url);
  for (const { text } of indexes) await server.query(String(text), url);
  await server.query('vacuum analyze users', url);
  const [size] = await server.query(
    `select pg_size_pretty(pg_table_size('users')) as rows, pg_size_pretty(pg_indexes_size('users')) as indexes`,
    url,
  );
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  console.log(
    `${accounts} accounts in ${seconds} s: ${String(size?.['rows'])}, indexes ${String(size?.['indexes'])}\n`,
  );
  await measure(url);
} finally {
  await service.stop();
}

async function measure(url: string): Promise<void> {
  const login = await service.api.post('/api/auth/login', admin);
  const token = tokensOf(login).access_token;
  const times = new Map<Question, number[]>(questions.map((question) => [question, []]));
  const found = new Map<Question, number>();
  for (let round = 0; round < rounds; round += 1) {
    for (const question of questions) {
      const { what: _, ...filters } = question;
      const path = `/api/admin/users?${new URLSearchParams(filters).toString()}`;
      const answer = await service.api.get(path, { token, unchecked: true });
      if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
      times.get(question)?.push(answer.milliseconds);
      found.set(question, (answer.body as { items: unknown[] }).items.length);
    }
  }
  console.log(`${'question'.padEnd(30)} items  median ms   p95 ms`);
  for (const [question, taken] of times) {
    const sorted = taken.toSorted((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1).padStart(8);
    const items = String(found.get(question)).padStart(5);
    console.log(`${question.what.padEnd(30)} ${items} ${at(0.5)}   ${at(0.95)}`);
  }
  if (withPlans) await showPlans(url);
}

async function showPlans(url: string): Promise<void> {
  const db = await openPostgres({ connection: url });
  try {
    for (const { what, search, status, role } of questions) {
      const explained: Queryable = {
        async run(asked, params) {
          const text = `explain (analyze, costs off, timing off) ${asked.text}`;
          const explain = { name: `explain_${asked.name}`, text } as Statement<typeof params, { 'QUERY PLAN': string }>;
          const rows = await db.run(explain, params);
          console.log(`\n${what}: ${asked.name}\n${rows.map((row) => `  ${row['QUERY PLAN']}`).join('\n')}`);
          return [];
        },
      };
      await listUsers(explained, { search, status, role }, undefined, 51);
    }
  } finally {
    await db.close();
  }
}
