/** Start to the first 200 on `/health`, and what the idle service holds of memory, on each store. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, median } from '../lib/bench.ts';
import { newPeople, register } from '../lib/people.ts';
import { atMost, format, perSecond, type Row } from '../lib/report.ts';
import { type RunningService, type ServiceOptions, startService } from '../lib/service.ts';
import { requests } from '../lib/traffic.ts';

const idleSeconds = 5;

export async function starting(bench: Bench, wants: (name: string) => boolean): Promise<readonly Row[]> {
  if (!wants('start') && !wants('memory')) return [];
  const times = bench.quick ? 2 : 5;
  const everywhere = { folder: bench.folder, core: undefined };
  const dataDirs = Array.from({ length: times }, (_, index) => join(bench.folder, `embedded-${index}`));
  for (const dataDir of dataDirs) mkdirSync(dataDir, { mode: 0o700 });
  const databaseUrl = await (await bench.postgres()).createDatabase();

  // The first PostgreSQL start makes keys; what is measured is a service that comes back.
  await (await startService({ ...everywhere, databaseUrl })).stop();
  const seconds: Record<'empty' | 'existing' | 'postgres', number[]> = { empty: [], existing: [], postgres: [] };
  const startAndStop = async (options: ServiceOptions): Promise<number> => {
    const service = await startService(options);
    await service.stop();
    return service.startSeconds;
  };
  for (const dataDir of dataDirs) {
    seconds.empty.push(await startAndStop({ ...everywhere, dataDir }));
    seconds.existing.push(await startAndStop({ ...everywhere, dataDir }));
    seconds.postgres.push(await startAndStop({ ...everywhere, databaseUrl }));
  }
  const row = (workload: string, seen: readonly number[], bar: number): Row => ({
    ...{ workload, ours: `${format(median(seen))} s`, limit: '', ratio: undefined },
    bar: atMost(median(seen), bar, ' s'),
    note: `to the first 200 on /health; median of ${seen.length}, worst ${format(Math.max(...seen))} s`,
    raw: { seconds: seen },
  });
  return [
    ...(wants('start')
      ? [
          row('start, empty embedded store', seconds.empty, 5),
          row('start, existing embedded store', seconds.existing, 3),
          row('start, migrated PostgreSQL', seconds.postgres, 1),
        ]
      : []),
    ...(wants('memory') ? await memory(bench, { ...everywhere, dataDir: dataDirs[0] ?? '' }, databaseUrl) : []),
  ];
}

async function memory(bench: Bench, embedded: ServiceOptions, databaseUrl: string): Promise<readonly Row[]> {
  const row = (workload: string, mib: number, bar: number | undefined, note: string): Row => ({
    ...{ workload, ours: `${format(mib)} MiB`, limit: '', ratio: undefined },
    bar: bar === undefined ? undefined : atMost(mib, bar, ' MiB'),
    note,
    raw: { mib },
  });
  const idleNote = `resident, all processes, ${idleSeconds} s after the start`;
  const onPostgres = await startService({ folder: bench.folder, core: undefined, databaseUrl });
  await sleep(idleSeconds * 1_000);
  const idlePostgres = onPostgres.residentMib();
  await onPostgres.stop();
  const onEmbedded = await startService(embedded);
  try {
    await sleep(idleSeconds * 1_000);
    const idleEmbedded = onEmbedded.residentMib();
    const refresh = await loadEmbedded(bench, onEmbedded);
    return [
      row('memory, PostgreSQL, idle', idlePostgres, 110, idleNote),
      row('memory, embedded, idle', idleEmbedded, 420, idleNote),
      row('memory, embedded, after load', onEmbedded.residentMib(), undefined, 'registrations, refreshes, validations'),
      refresh,
    ];
  } finally {
    await onEmbedded.stop();
  }
}

async function loadEmbedded(bench: Bench, service: RunningService): Promise<Row> {
  const sessions = await register(bench, service, newPeople(16));
  const common = { port: service.port, seconds: 3, warmUpSeconds: 0.5, connections: sessions.length };
  const tokens = sessions.map((session) => session.refreshToken);
  const refresh = await bench.load({
    ...common,
    traffic: { kind: 'rotate', path: '/api/auth/refresh-token', tokens },
  });
  const validates = sessions.map((session) => requests.validate(session.accessToken));
  await bench.load({ ...common, traffic: { kind: 'cycle', requests: validates } });
  return {
    workload: 'refresh, embedded store',
    ours: perSecond(refresh.answers / refresh.seconds),
    limit: '',
    ratio: undefined,
    bar: undefined,
    note: `${sessions.length} clients, p99 ${format(refresh.latencyMs.p99)} ms`,
    raw: { refresh },
  };
}
