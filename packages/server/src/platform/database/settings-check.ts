/** What a PostgreSQL server must be, and should be, so that the promises of the database port hold. */
import { type Database, one, statement } from './database.ts';

export interface PostgresSettings {
  readonly version: string;
  /** One line for each setting that weakens a promise: what it is, what it costs, what to set. */
  readonly warnings: readonly string[];
}

const versionMin = 13;

/** Throws when the server is too old. */
export async function checkPostgresSettings(db: Database): Promise<PostgresSettings> {
  const row = await one(db, readSettings, []);
  if (row === undefined) throw new Error('the server tells nothing about itself');
  if (row.version_num < versionMin * 10_000) {
    throw new Error(`PostgreSQL ${row.version} is too old: version ${versionMin} or newer is needed`);
  }
  const warnings: string[] = [];
  if (row.fsync === 'off') warnings.push('fsync is off: a power cut destroys the database; set fsync = on');
  if (row.full_page_writes === 'off') {
    warnings.push('full_page_writes is off: a power cut may corrupt the database; set full_page_writes = on');
  }
  if (row.synchronous_commit === 'off') {
    warnings.push('synchronous_commit is off: sessions of this service turn it on; set synchronous_commit = on');
  }
  if (row.asynchronous_replicas > 0) {
    warnings.push(
      `${row.asynchronous_replicas} replica(s) are asynchronous: a fail-over to one may lose answered revocations; set synchronous_standby_names`,
    );
  }
  return { version: row.version, warnings };
}

interface SettingsRow {
  readonly version_num: number;
  readonly version: string;
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly synchronous_commit: string;
  readonly asynchronous_replicas: number;
}

// `reset_val`: what the server gives to everybody, not what this session has set for itself.
const readSettings = statement<[], SettingsRow>(
  'settings.read',
  `select current_setting('server_version_num')::int as version_num,
     current_setting('server_version') as version,
     current_setting('fsync') as fsync,
     current_setting('full_page_writes') as full_page_writes,
     (select reset_val from pg_settings where name = 'synchronous_commit') as synchronous_commit,
     -- Who may not look closer sees that there are replicas, and not of what kind.
     (select count(*) from pg_stat_replication
       where sync_state = 'async' or (sync_state is null and current_setting('synchronous_standby_names') = '')) as asynchronous_replicas`,
);
