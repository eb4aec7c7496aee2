/** Opens the configured store, for the service and for commands that work beside it. */
import { type Database, type EmbeddedDatabase, openEmbedded, openPostgres } from './platform/database/index.ts';
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
  return openPostgres({
    connection: database.connection.reveal(),
    poolSize: database.poolSize,
    ssl: database.ssl,
    applicationName: `auth-service/${settings.nodeName}`,
    ...common,
  });
}

export const isEmbedded = (db: Database): db is EmbeddedDatabase => db.kind === 'embedded';
