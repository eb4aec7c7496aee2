/**
 * The limits of a refresh: one compare-and-swap a token, committed, on the same PostgreSQL. `run` is a plain client loop with
 * a number of connections; `serve` is a bare HTTP server in front of the same statement, for comparison.
 */
import { createServer } from 'node:http';
import pg from 'pg';
import { cpuSecondsOf } from './lib/processes.ts';

type Message =
  | { readonly kind: 'prepare'; readonly url: string; readonly connections: number; readonly rows: number }
  | { readonly kind: 'run'; readonly seconds: number }
  | { readonly kind: 'serve' };

const swap = {
  name: 'swap',
  text: `update bench_sessions set counter = counter + 1, rotated_at = clock_timestamp()
          where id = $1 and counter = $2 returning counter`,
};

interface Row {
  readonly id: string;
  counter: number;
}

let clients: pg.Client[] = [];
let rows: Row[] = [];
let pool: pg.Pool | undefined;

async function prepare(url: string, connections: number, count: number): Promise<object> {
  clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: url }));
  await Promise.all(clients.map((client) => client.connect()));
  pool = new pg.Pool({ connectionString: url, max: connections });
  const [first] = clients;
  if (first === undefined) throw new Error('at least one connection');
  await first.query(`create table if not exists bench_sessions
    (id uuid primary key, counter int not null, rotated_at timestamptz) with (fillfactor = 50)`);
  const made = await first.query<{ id: string }>(
    'insert into bench_sessions select gen_random_uuid(), 0, null from generate_series(1, $1) returning id',
    [2 * count],
  );
  // The loop and the clients of the server each have rows of their own.
  rows = made.rows.slice(count).map(({ id }) => ({ id, counter: 0 }));
  return { tokens: made.rows.slice(0, count).map(({ id }) => `${id}.0`) };
}

async function swapOne(on: pg.Client | pg.Pool, id: string, counter: number): Promise<number> {
  const result = await on.query<{ counter: number }>({ ...swap, values: [id, counter] });
  const [row] = result.rows;
  if (row === undefined) throw new Error('a swap that nobody contests must win');
  return row.counter;
}

async function run(seconds: number): Promise<object> {
  const cpuAtBegin = cpuSecondsOf(process.pid);
  const beganMs = performance.now();
  const untilMs = beganMs + seconds * 1_000;
  let commits = 0;
  await Promise.all(
    clients.map(async (client, lane) => {
      const own = rows.filter((_, index) => index % clients.length === lane);
      for (let at = 0; performance.now() < untilMs; at += 1) {
        const row = own[at % own.length];
        if (row === undefined) return;
        row.counter = await swapOne(client, row.id, row.counter);
        commits += 1;
      }
    }),
  );
  const took = (performance.now() - beganMs) / 1_000;
  return { commits, seconds: took, cpuSeconds: cpuSecondsOf(process.pid) - cpuAtBegin };
}

function serve(): Promise<object> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { refresh_token: token } = JSON.parse(Buffer.concat(chunks).toString()) as { refresh_token: string };
      const [id = '', counter = ''] = token.split('.');
      if (pool === undefined) throw new Error('not prepared');
      swapOne(pool, id, Number(counter)).then(
        (next) => {
          const body = Buffer.from(JSON.stringify({ refresh_token: `${id}.${next}`, expires_in: 3600 }));
          response.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', String(body.length)]);
          response.end(body);
        },
        () => response.writeHead(500, ['Content-Length', '0']).end(),
      );
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve({ port: typeof address === 'object' ? address?.port : 0 });
    });
  });
}

function answer(message: Message): Promise<object> {
  if (message.kind === 'prepare') return prepare(message.url, message.connections, message.rows);
  return message.kind === 'run' ? run(message.seconds) : serve();
}

process.on('message', (message: Message) => {
  answer(message).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
