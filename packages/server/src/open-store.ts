/** Opens the configured store, for the service and for commands that work beside it. */
import {
  type Database,
  DatabaseUnavailable,
  type EmbeddedDatabase,
  openEmbedded,
  openPostgres,
} from './platform/database/index.ts';
import type { Settings } from './settings.ts';

export interface StoreEvents {
  readonly observe?: (statement: string, seconds: number, ok: boolean) => void;
  readonly onState?: (state: 'up' | 'away') => void;
  readonly onWarning?: (message: string) => void;
}

export async function openStore(settings: Settings, events: StoreEvents = {}): Promise<Database | EmbeddedDatabase> {
  const { database } = settings;
  const { onWarning, ...common } = events;
  if (database.kind === 'embedded') return openEmbedded({ dataDir: database.dataDir, ...events });
  return patiently(() =>
    openPostgres({
      connection: database.connection.reveal(),
      poolSize: database.poolSize,
      ssl: database.ssl,
      applicationName: `auth-service/${settings.nodeName}`,
      ...common,
    }),
  );
}

export const isEmbedded = (db: Database): db is EmbeddedDatabase => db.kind === 'embedded';

/** A start has more time than a request for a server that answers slowly; one that refuses is away at once. */
const attemptsMax = 8;

async function patiently<T>(open: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await open();
    } catch (error) {
      const isSlow = error instanceof DatabaseUnavailable && error.cause === undefined;
      if (!isSlow || attempt === attemptsMax) throw error;
    }
  }
}
