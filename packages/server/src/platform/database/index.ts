/**
 * The database: one schema, one set of statements, two drivers.
 *
 * Guarantees: what was answered is durable, every call ends in time. When the store is away every call throws
 * `DatabaseUnavailable` at once; it is found again without a restart.
 */

export { DataDirInUse } from './data-dir-lock.ts';
export * from './database.ts';
export { type EmbeddedDatabase, type EmbeddedOptions, openEmbedded } from './embedded.ts';
export {
  type MigrateOptions,
  type Migration,
  MigrationChanged,
  type MigrationStatus,
  migrate,
  migrationStatus,
  SchemaNewer,
} from './migrate.ts';
export { openPostgres, type PostgresOptions, type SslMode } from './postgres.ts';
export { checkPostgresSettings, type PostgresSettings } from './settings-check.ts';
export { includesSnapshot, isVisibleIn } from './snapshot.ts';
