/** What commonly stops a start, with the mend. */
import { DatabaseUnavailable, DataDirInUse, MigrationChanged, SchemaNewer } from './platform/database/index.ts';
import type { Settings } from './settings.ts';

/** One line for the operator; `undefined` for what is no common failure. Looks through what wrapped it. */
export function describeStartFailure(error: unknown, settings: Settings): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const known = describe(at, settings);
    if (known !== undefined) return known;
  }
  return undefined;
}

function describe(error: Error, settings: Settings): string | undefined {
  if (error instanceof DataDirInUse || error instanceof SchemaNewer || error instanceof MigrationChanged) {
    return error.message;
  }
  if (error instanceof DatabaseUnavailable) {
    const place = settings.database.kind === 'postgres' ? settings.database.place : settings.database.dataDir;
    const cause = causeText(error);
    return `the database at ${place} cannot be reached${cause}: start it, or correct DATABASE_URL or the DB_* variables`;
  }
  const code = 'code' in error ? error.code : undefined;
  const where = `${settings.host}:${settings.port}`;
  if (code === 'EADDRINUSE') return `${where} is in use: stop what listens there, or set PORT`;
  if (code === 'EACCES' && isListenError(error)) return `no permission to listen on ${where}: set PORT above 1023`;
  if (code === 'EADDRNOTAVAIL') return `${settings.host} is no address of this machine: set HOST`;
  const isOurs = [
    'signing key ',
    'PostgreSQL ',
    'BOOTSTRAP_ADMIN_',
    'Redis would ',
    'CLUSTER_PORT ',
    'MAIL_TEMPLATES: ',
  ].some((words) => error.message.startsWith(words));
  if (isOurs) return error.message;
  return undefined;
}

function causeText(error: Error): string {
  const { cause } = error;
  if (!(cause instanceof Error)) return '';
  if ('code' in cause && typeof cause.code === 'string') return ` (${cause.code})`;
  return '';
}

const isListenError = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && error.syscall === 'listen';
