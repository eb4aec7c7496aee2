/**
 * `npx node tools/bench/enumeration.ts [tries]`: whether the time of an answer tells if an address is known.
 *
 * Procedure T: so many tries (200) for a known and as many for an unknown address, interleaved in random order, one at a time on a
 * kept connection, for register and resend (verification mode), forgot-password and login. Told are both medians; their difference
 * must be less than 5 % or 1 ms. The exit code is 1 where one is not: run it on a machine that does nothing else.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../../tests/support/postgres.ts';
import { codeOf, startSmtp } from '../../tests/support/smtp.ts';
import { startService } from './lib/service.ts';

const tries = Number(process.argv[2] ?? 200);
const password = 'correct horse battery';
const folder = mkdtempSync(join(tmpdir(), 'enumeration-'));
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const newAddress = (): string => `n${randomBytes(8).toString('hex')}@example.org`;

function post(port: number, path: string, body: object): Promise<{ status: number; ms: number }> {
  const bytes = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(bytes) };
    const sent = request(
      { host: '127.0.0.1', port, path: `/api/auth/${path}`, method: 'POST', agent, headers },
      (got) => {
        got.resume();
        got.on('end', () => resolve({ status: got.statusCode ?? 0, ms: performance.now() - began }));
      },
    );
    sent.on('error', reject);
    sent.end(bytes);
  });
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function measure(
  port: number,
  name: string,
  attempt: (known: boolean) => readonly [string, object],
): Promise<boolean> {
  const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] };
  const statuses = new Set<number>();
  const order = Array.from({ length: 2 * tries }, (_, at) => at % 2 === 0);
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = randomInt(at + 1);
    [order[at], order[other]] = [order[other] ?? true, order[at] ?? true];
  }
  for (const known of order) {
    const { status, ms } = await post(port, ...attempt(known));
    statuses.add(status);
    times[known ? 'known' : 'unknown'].push(ms);
  }
  const [known, unknown] = [median(times.known), median(times.unknown)];
  const apart = Math.abs(known - unknown);
  const fine = statuses.size === 1 && (apart < 1 || apart / Math.max(known, unknown) < 0.05);
  const percent = ((100 * apart) / Math.max(known, unknown)).toFixed(1);
  console.log(
    `${fine ? 'ok  ' : 'FAIL'} ${name.padEnd(28)} known ${known.toFixed(2)} ms, unknown ${unknown.toFixed(2)} ms, apart ${apart.toFixed(2)} ms (${percent} %), status ${[...statuses].join()}`,
  );
  return fine;
}

async function onStore(store: 'embedded' | 'postgres', databaseUrl: string | undefined): Promise<boolean> {
  const smtp = await startSmtp();
  const service = await startService({
    ...{ folder, core: undefined },
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    settings: {
      ...{ SMTP_URL: smtp.url, EMAIL_VERIFICATION: 'required', MAX_LOGIN_ATTEMPTS: '100' },
      ...{ NODE_ENV: 'test', BCRYPT_COST: '10', LOG_LEVEL: 'warn' },
    },
  });
  try {
    const { port } = service;
    const register = (email: string): readonly [string, object] => ['register', { user: { email, password } }];
    const known: string[] = [];
    for (let n = 0; n < Math.ceil(tries / 4); n += 1) {
      const email = newAddress();
      await post(port, ...register(email));
      known.push(email);
    }
    while (smtp.received.length < known.length) await new Promise((resolve) => setTimeout(resolve, 50));
    const proven = new Set<string>();
    for (const mail of smtp.received) {
      await post(port, 'verify-email', { token: codeOf(mail) });
      proven.add(mail.to[0] ?? '');
    }
    let next = 0;
    const anyKnown = (): string => known[next++ % known.length] ?? '';
    const address = (isKnown: boolean): string => (isKnown ? anyKnown() : newAddress());
    const results = [];
    results.push(
      await measure(port, `${store} register`, (isKnown) => register(address(isKnown))),
      await measure(port, `${store} forgot-password`, (isKnown) => ['forgot-password', { email: address(isKnown) }]),
      await measure(port, `${store} resend-verification`, (isKnown) => [
        'resend-verification',
        { email: address(isKnown) },
      ]),
      await measure(port, `${store} login`, (isKnown) => [
        'login',
        { email: address(isKnown), password: 'wrong and wrong' },
      ]),
    );
    return results.every(Boolean);
  } finally {
    await service.stop();
    await smtp.stop();
  }
}

const postgres = await startPostgres();
try {
  const fine = [await onStore('postgres', await postgres.createDatabase()), await onStore('embedded', undefined)];
  process.exitCode = fine.every(Boolean) ? 0 : 1;
} finally {
  agent.destroy();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}
