/**
 * `auth-service start` with `WORKERS`: the primary. It keeps the workers running, hands them connections, counts rate limits for
 * all of them, and passes on what they say to each other. It answers no request, and opens no store: the first worker migrates.
 *
 * SIGTERM, SIGINT: no worker is ready any more → those who look have seen it → workers finish and end → exit code 0.
 * SIGUSR2: another worker for each, one after the other. The end of the primary, however it comes, ends its workers.
 */
import { exitFailed, exitOk } from './cli/index.ts';
import { createDrain } from './drain.ts';
import { type Ending, watchForEnd } from './ending.ts';
import { createLog, type Log } from './platform/log/index.ts';
import { systemRandom } from './platform/random/index.ts';
import { systemClock, systemTimers } from './platform/time/index.ts';
import { type Channel, createPrimary, type Primary, relayFor } from './platform/workers/index.ts';
import type { ProgramHost } from './program.ts';
import { createLocalRateLimiter, type LocalRateLimiter } from './rate-limit/index.ts';
import type { Settings } from './settings.ts';
import { version } from './version.ts';
import { beginClosingTopic, figuresTopic, probedTopic, signalledTopic, takeTopic } from './worker-topics.ts';

const maxRestarts = 5;
const withinSeconds = 60;
const startTimeoutMs = 60_000;
/** What a worker has beside its requests: the store, the lease, the hashing threads. */
const stopTimeoutMsMore = 7_000;
const figuresDeadlineMs = 2_000;
/** A signal to the whole group reaches the primary, too, but not at the same moment. */
const sameSignalMs = 250;
/** In which a worker that was replaced says `Connection: close`, so that kept-alive connections move on by themselves. */
const standBackMs = 2_000;
const settledAfterMs = 1_000;
const nodeNameMax = 63;

export async function runWorkers(
  host: ProgramHost,
  settings: Settings,
  warnings: readonly string[],
  fork: NonNullable<ProgramHost['fork']>,
): Promise<number> {
  const log = createLog({
    level: settings.logLevel,
    format: settings.logFormat,
    destination: host.terminal.stdout,
    fields: { node: settings.nodeName },
  });
  for (const warning of warnings) log.warn({}, warning);
  const count = settings.workers;
  const ending = watchForEnd(host, log);
  const drain = createDrain({ seconds: settings.shutdownDrainSeconds, clock: systemClock, timers: systemTimers });
  const names = new WeakMap<Channel, string>();
  const { rateLimits: policies } = settings;
  const limiter = createLocalRateLimiter({ policies, clock: systemClock, random: systemRandom });
  let isStopping = false;

  const primary: Primary = createPrimary({
    count,
    fork: (place, restarts) => fork({ place, restarts }, environmentOf(settings, place)),
    clock: systemClock,
    timers: systemTimers,
    random: Math.random,
    maxRestarts,
    withinSeconds,
    startTimeoutMs,
    stopTimeoutMs: settings.shutdownTimeoutMs + stopTimeoutMsMore,
    async standBack(channel) {
      channel.cast(beginClosingTopic, null);
      await Promise.race([ending.asked, new Promise((resolve) => setTimeout(resolve, standBackMs))]);
    },
    onWorker(place, channel) {
      relayFor(channel, () => primary.channels().values(), names);
      channel.on(probedTopic, (body) => drain.asked(...(body as [string, boolean])));
      channel.on(takeTopic, (body) => takeFrom(limiter, body));
      channel.on(figuresTopic, () => figuresOf(primary));
      channel.on(signalledTopic, () => {
        setTimeout(() => isStopping || void replaceOne(primary, place, log), sameSignalMs);
      });
    },
    onRestart: (place, error) =>
      log.warn({ worker: place, reason: reasonOf(error) }, 'a worker ended and is started again'),
    onProblem: (place, error) => log.warn({ worker: place, reason: reasonOf(error) }, 'a worker made trouble'),
    onEscalate(place, error) {
      const often = `more than ${maxRestarts} times within ${withinSeconds} seconds`;
      log.error({ worker: place, reason: reasonOf(error) }, `a worker ended ${often}; giving up`);
      ending.ask(exitFailed);
    },
  });
  host.onReplace(() => void replaceAll(primary, count, log));

  let code = await startAll(primary, host, settings, ending, log);
  if (code === undefined) {
    code = await ending.asked;
    isStopping = true;
    for (const channel of primary.channels().values()) channel.cast(beginClosingTopic, null);
    if (code === exitOk) await drain.wait();
  }
  isStopping = true;
  ending.forceAfter(settings.shutdownTimeoutMs + stopTimeoutMsMore + 5_000);
  await primary.stop();
  log.info({ exit_code: code }, 'stopped');
  log.flush();
  host.exit(code);
  return code;
}

/** `undefined` when all work; otherwise the code to end with. */
async function startAll(
  primary: Primary,
  host: ProgramHost,
  settings: Settings,
  ending: Ending,
  log: Log,
): Promise<number | undefined> {
  try {
    const first = await Promise.race([primary.start(), ending.asked]);
    if (typeof first === 'number') return first;
    const { url } = first as { readonly url: string };
    const { database, workers, nodeName } = settings;
    const store = database.kind === 'postgres' ? `postgres at ${database.place}` : '';
    log.info(
      { version, ready_ms: Math.round(host.uptimeMs()) },
      `listening on ${url} with ${workers} workers (store: ${store}; nodes: ${nodeName}-1 to ${nodeName}-${workers}); API reference: ${url}/docs`,
    );
    setTimeout(host.collectGarbage, settledAfterMs).unref();
    return undefined;
  } catch (error) {
    log.error({ reason: reasonOf(error) }, 'a worker could not start; its own lines say why');
    return exitFailed;
  }
}

/** What a worker's environment says beside the primary's. */
function environmentOf(settings: Settings, place: number): Readonly<Record<string, string>> {
  const suffix = `-${place}`;
  return {
    NODE_NAME: `${settings.nodeName.slice(0, nodeNameMax - suffix.length)}${suffix}`,
    // One of them has the port that others may know; the rest are found through the table of leases.
    ...(place > 1 && settings.cluster !== undefined ? { CLUSTER_PORT: '0' } : {}),
  };
}

function takeFrom(limiter: LocalRateLimiter, body: unknown): unknown {
  const [policy, key, cost] = body as [string, string, number];
  return limiter.take(policy, key, cost);
}

/** Of those that answer in time. */
async function figuresOf(primary: Primary): Promise<readonly { readonly worker: string; readonly text: string }[]> {
  const asked = [...primary.channels()].toSorted(([a], [b]) => a - b);
  const answers = await Promise.allSettled(
    asked.map(([, channel]) => channel.ask(figuresTopic, null, figuresDeadlineMs)),
  );
  return answers.flatMap((answer, at) =>
    answer.status === 'fulfilled' && typeof answer.value === 'string'
      ? [{ worker: String(asked[at]?.[0]), text: answer.value }]
      : [],
  );
}

async function replaceOne(primary: Primary, place: number, log: Log): Promise<void> {
  log.info({ worker: place }, 'a worker is replaced');
  if (await primary.replace(place)) log.info({ worker: place }, 'a worker was replaced');
}

async function replaceAll(primary: Primary, count: number, log: Log): Promise<void> {
  log.info({}, 'all workers are replaced, one after the other');
  for (let place = 1; place <= count; place += 1) await replaceOne(primary, place, log);
}

/** The innermost says it: what is around it says who told. */
function reasonOf(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  return at instanceof Error ? at.message : String(at);
}
