/** `auth-service migrate` and `auth-service doctor`. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { controlPath, describeFailure } from './beside.ts';
import { askControl, createOutput, exitFailed, exitOk } from './cli/index.ts';
import { publicUrlFindings } from './doctor-public-url.ts';
import { redisFindings } from './doctor-redis.ts';
import type { Finding } from './finding.ts';
import { isEmbedded, openStore } from './open-store.ts';
import {
  checkPostgresSettings,
  type Database,
  DataDirInUse,
  migrate,
  migrationStatus,
  one,
  statement,
} from './platform/database/index.ts';
import type { ProgramHost } from './program.ts';
import type { Settings } from './settings.ts';
import { version } from './version.ts';

export async function runMigrate(
  host: ProgramHost,
  settings: Settings,
  options: { readonly json: boolean; readonly statusOnly: boolean },
): Promise<number> {
  const out = createOutput(host.terminal);
  let db: Database | undefined;
  try {
    db = await openStore(settings);
    const before = await migrationStatus(db);
    const pending = before.filter((one) => one.appliedAt === undefined).length;
    if (options.statusOnly) {
      const listed = before.map(({ name, appliedAt }) => ({ name, applied_at: appliedAt?.toISOString() ?? null }));
      if (options.json) out.line(JSON.stringify({ migrations: listed, pending }));
      else for (const row of listed) out.line(`${row.applied_at ?? 'pending'.padEnd(24)}  ${row.name}`);
      return exitOk;
    }
    let done = 0;
    const { applied } = await migrate(db, {
      onStep: (name, step) => {
        done += step === 'applied' ? 1 : 0;
        out.progress(name, done, pending);
      },
    });
    if (options.json) out.line(JSON.stringify({ applied }));
    else out.line(applied.length === 0 ? 'the schema is up to date' : `applied ${applied.join(', ')}`);
    return exitOk;
  } catch (error) {
    if (error instanceof DataDirInUse) {
      // The service that has the store migrated it when it started, and tells.
      const words = ['migrations', 'list', ...(options.json ? ['--json'] : [])];
      const code = await askControl(
        controlPath(settings.dataDir),
        { words, secret: null, cwd: host.workingDirectory },
        out,
      );
      if (code !== undefined) return code;
    }
    out.error(describeFailure(error, settings));
    return exitFailed;
  } finally {
    out.done();
    await db?.close();
  }
}

const skewMsMax = 2_000;

const findNow = statement<[], { now_ms: number; version: string }>(
  'doctor_find_now',
  `select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms, current_setting('server_version') as version`,
);

export async function runDoctor(
  host: ProgramHost,
  settings: Settings,
  options: { readonly json: boolean },
): Promise<number> {
  const out = createOutput(host.terminal);
  const findings: readonly Finding[] = [
    { check: 'program', status: 'ok', detail: `auth-service ${version}` },
    { check: 'configuration', status: 'ok', detail: 'every variable is valid' },
    ...permissionFindings(settings),
    ...(await databaseFindings(settings)),
    ...(await redisFindings(settings)),
    ...publicUrlFindings(settings.publicUrl),
  ];
  if (options.json) out.line(JSON.stringify({ findings }));
  else for (const { check, status, detail } of findings) out.line(`${status.padEnd(8)} ${check}: ${detail}`);
  return findings.some((finding) => finding.status === 'failed') ? exitFailed : exitOk;
}

function permissionFindings({ database }: Settings): readonly Finding[] {
  if (database.kind !== 'embedded' || !existsSync(database.dataDir)) return [];
  const { dataDir } = database;
  try {
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return [
      { check: 'permissions', status: 'failed', detail: `${dataDir} cannot be read and written: correct its owner` },
    ];
  }
  const open = statSync(dataDir).mode & 0o077;
  return open === 0
    ? [{ check: 'permissions', status: 'ok', detail: `${dataDir} is closed to others` }]
    : [{ check: 'permissions', status: 'failed', detail: `${dataDir} is open to others: chmod 700 ${dataDir}` }];
}

async function databaseFindings(settings: Settings): Promise<readonly Finding[]> {
  let db: Database | undefined;
  try {
    db = await openStore(settings);
    const pending = (await migrationStatus(db)).filter((row) => row.appliedAt === undefined).length;
    const before = Date.now();
    const now = await one(db, findNow, []);
    const skew = Math.round((now?.now_ms ?? 0) - (before + Date.now()) / 2);
    const findings: Finding[] = [
      { check: 'database', status: 'ok', detail: `${db.kind} answers (PostgreSQL ${now?.version})` },
      pending === 0 || settings.migrateOnStart
        ? {
            check: 'schema',
            status: 'ok',
            detail: pending === 0 ? 'up to date' : `${pending} migrations run at the next start`,
          }
        : { check: 'schema', status: 'failed', detail: `${pending} migrations are missing: auth-service migrate` },
      Math.abs(skew) <= skewMsMax
        ? { check: 'clock', status: 'ok', detail: `${skew} ms from the database's` }
        : { check: 'clock', status: 'failed', detail: `${skew} ms from the database's: synchronise it (NTP)` },
    ];
    if (!isEmbedded(db)) {
      const checked = await checkPostgresSettings(db);
      for (const warning of checked.warnings)
        findings.push({ check: 'database settings', status: 'warning', detail: warning });
    }
    return findings;
  } catch (error) {
    if (error instanceof DataDirInUse) return await runningFindings(settings, error);
    return [{ check: 'database', status: 'failed', detail: describeFailure(error, settings) }];
  } finally {
    await db?.close();
  }
}

/** The folder is in use: well, when it is by a service that answers. */
async function runningFindings(settings: Settings, error: DataDirInUse): Promise<readonly Finding[]> {
  const silent = {
    line: () => undefined,
    error: () => undefined,
    progress: () => undefined,
    flush: async () => undefined,
  };
  const code = await askControl(
    controlPath(settings.dataDir),
    { words: ['keys', 'list'], secret: null, cwd: '/' },
    silent,
  );
  if (code !== 0) return [{ check: 'database', status: 'failed', detail: error.message }];
  return [
    { check: 'database', status: 'ok', detail: 'a running service has the embedded store, and answers' },
    { check: 'clock', status: 'ok', detail: 'the embedded store goes by the clock of this machine' },
  ];
}
