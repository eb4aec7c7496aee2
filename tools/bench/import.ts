/**
 * How long `auth-service users import` takes: the command as it is typed, on a PostgreSQL of its own that flushes to disk.
 * `npx node tools/bench/import.ts [accounts]`; 100,000 by default, every thousandth line one to be refused.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startPostgres } from '../../tests/support/postgres.ts';

const program = fileURLToPath(new URL('../../packages/server/src/main.ts', import.meta.url));
const accounts = Number(process.argv[2] ?? '100000');

async function writeAccounts(path: string): Promise<number> {
  const file = createWriteStream(path);
  let refused = 0;
  for (let at = 0; at < accounts; at += 1) {
    const isRefused = at % 1_000 === 999;
    refused += isRefused ? 1 : 0;
    const digest = randomBytes(40).toString('base64').replaceAll(/[+=]/g, '.').slice(0, 53);
    const account = {
      email: isRefused ? 'nonsense' : `person.${at}@customers.example.org`,
      email_verified: at % 3 === 0,
      password_hash: `$2b$12$${digest}`,
      first_name: `First ${at}`,
      last_name: 'Last',
    };
    if (!file.write(`${JSON.stringify(account)}\n`))
      await new Promise<void>((resolve) => file.once('drain', () => resolve()));
  }
  file.end();
  await finished(file);
  return refused;
}

function run(words: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...words], {
      cwd,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.once('error', reject);
    child.once('exit', () => resolve(text));
  });
}

const folder = mkdtempSync(join(tmpdir(), 'auth-service-import-'));
const postgres = await startPostgres({ fsync: true });
try {
  const databaseUrl = await postgres.createDatabase();
  const path = join(folder, 'accounts.ndjson');
  const refused = await writeAccounts(path);
  const env = { DATABASE_URL: databaseUrl, JWT_SECRET: randomBytes(32).toString('base64'), DATA_DIR: folder };
  const began = performance.now();
  const told = await run(['users', 'import', path, '--json'], env, folder);
  const seconds = (performance.now() - began) / 1_000;
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ users: string; events: string }>(
    `select (select count(*) from users) as users, (select count(*) from audit_events) as events`,
  );
  await client.end();
  process.stdout.write(told);
  const per = Math.round(accounts / seconds);
  process.stdout.write(`${accounts} lines in ${seconds.toFixed(1)} s (${per} a second), ${JSON.stringify(rows[0])}\n`);
  if (Number(rows[0]?.users) !== accounts - refused) throw new Error('not every account is there');
} finally {
  await postgres.stop();
  rmSync(folder, { recursive: true });
}
