/**
 * One experiment, from an empty bed to its findings. Runs as the first process of namespaces of its own (`run.ts` makes them):
 * when it ends, however it ends, the kernel takes every process, mount, network and file of the bed with it. The result goes
 * as one line to the standard output.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { auditFacts } from './audit.ts';
import { type Bed, type BedOptions, makeFolder, type Shape, startBed } from './bed/bed.ts';
import { servicePort } from './bed/nodes.ts';
import { check, type Findings, type Violation } from './checker.ts';
import { type Client, createClient } from './client.ts';
import { type Context, type Experiment, experiments } from './experiments.ts';
import type { History } from './history.ts';
import { createLoad, type Load, standardLoad } from './load.ts';

export interface Result {
  readonly id: string;
  readonly shape: Shape;
  readonly findings: Findings;
  readonly notes: readonly string[];
  readonly seconds: number;
}

const stalenessSeconds = 3;
const guessesMax = 5;
const usersAtStart = 30;
const sessionsEach = 4;
const calmSeconds = 3;
const readySecondsMax = 30;
const quietMs = 3_000;

export interface Order {
  readonly id: string;
  readonly shape: Shape;
  readonly seed: number;
  /** Where to leave logs and history, if anywhere. */
  readonly keep: string | undefined;
}

async function perform(order: Order): Promise<Result> {
  const began = performance.now();
  const experiment = experiments.find((one) => one.id === order.id);
  if (experiment === undefined) throw new Error(`there is no experiment ${order.id}`);
  const folder = makeFolder();
  const bed = await startBed({
    staleness: stalenessSeconds,
    ...experiment.bed,
    shape: order.shape,
    folder,
  } satisfies BedOptions);
  const clients = bed.nodes.map((node) => createClient(node.name, node.host.front, servicePort));
  const load = createLoad(clients, seeded(order.seed));
  await load.prepare(usersAtStart, experiment.sessionsEach ?? sessionsEach);
  const notes: string[] = [];
  const missed: Violation[] = [];
  load.start({ ...standardLoad, ...experiment.rates });
  await sleep(calmSeconds * 1_000);
  const context = contextOf({ bed, load, clients, notes, missed });
  const faultMs = await inflict(experiment, context);
  const readyMs = await allReady(bed);
  await calm(load, Math.max(readyMs, faultMs.until));
  await load.stop();
  const history: History = {
    nodes: bed.nodes.map((node) => node.name),
    stalenessMs: bed.options.staleness * 1_000,
    guessesMax,
    calls: load.calls,
    verifications: load.verifications,
    revocations: load.revocations,
    rotations: load.rotations,
    guesses: load.guesses,
    downs: bed.nodes.flatMap((node) => node.downs),
    faultMs,
    readyMs,
    endMs: performance.now(),
    audit: await auditFacts({ load, clients, bed }),
  };
  const { violations, figures } = check(history);
  if (order.keep !== undefined) keepEvidence(order, history, folder);
  for (const client of clients) client.close();
  return {
    id: order.id,
    shape: order.shape,
    findings: { violations: [...missed, ...violations], figures },
    notes,
    seconds: (performance.now() - began) / 1_000,
  };
}

function contextOf(made: {
  readonly bed: Bed;
  readonly load: Load;
  readonly clients: readonly Client[];
  readonly notes: string[];
  readonly missed: Violation[];
}): Context {
  const { bed, load, clients } = made;
  return {
    bed,
    load,
    clients,
    note: (text) => made.notes.push(text),
    demand: (holds, detail) => {
      if (!holds) made.missed.push({ kind: 'a bar of this experiment', detail });
    },
    since: (ms, op, node) =>
      load.calls.filter((call) => call.sentMs >= ms && call.op === op && (node === undefined || call.node === node)),
  };
}

async function inflict(experiment: Experiment, context: Context): Promise<{ from: number; until: number }> {
  const from = performance.now();
  await experiment.run(context);
  return { from, until: performance.now() };
}

/** When all nodes say that they are ready; the limit when one never does. */
async function allReady(bed: Bed): Promise<number> {
  const end = performance.now() + readySecondsMax * 1_000;
  while (performance.now() < end) {
    const ready = await Promise.all(bed.nodes.map((node) => node.isReady()));
    if (ready.every(Boolean)) break;
    await sleep(50);
  }
  return performance.now();
}

/** Until nothing has failed for a while; what fails for longer is for the checker to judge. */
async function calm(load: Load, sinceMs: number): Promise<void> {
  const end = sinceMs + readySecondsMax * 1_000;
  for (;;) {
    const lastBad = load.calls.findLast((call) => !call.good)?.endMs ?? 0;
    const now = performance.now();
    if (now > end || (now - lastBad > quietMs && now - sinceMs > quietMs)) return;
    await sleep(100);
  }
}

/** mulberry32: the same seed, the same choices. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function keepEvidence(order: Order, history: History, folder: string): void {
  const lines = [
    ...history.calls.map((one) => ({ what: 'call', ...one })),
    ...history.verifications.map((one) => ({ what: 'verification', ...one })),
    ...history.revocations.map((one) => ({ what: 'revocation', ...one })),
    { what: 'fault', ...history.faultMs, readyMs: history.readyMs, downs: history.downs },
  ];
  writeFileSync(`${order.keep}/${order.id}.jsonl`, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  cpSync(folder, `${order.keep}/${order.id}`, {
    recursive: true,
    filter: (path) => path === folder || path.endsWith('.log'),
  });
}

if (import.meta.main) {
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  process.env['TMPDIR'] = makeFolder();
  const order = JSON.parse(process.argv[2] ?? '{}') as Order;
  try {
    writeSync(1, `${JSON.stringify(await perform(order))}\n`);
    process.exit(0);
  } catch (error) {
    console.error(error);
    for (const log of execFileSync(
      'sh',
      ['-c', 'ls /run/bed/n?.log /run/bed/r?.log /run/bed/slow.log /run/bed/pg/log 2>/dev/null || true'],
      {
        encoding: 'utf8',
      },
    )
      .split('\n')
      .filter(Boolean)) {
      console.error(`── ${log}\n${readFileSync(log, 'utf8').slice(-1_500)}`);
    }
    process.exit(1);
  }
}
