/** One call for whoever only knows which of the two stores is configured. */
import type { Database } from './database.ts';
import { type EmbeddedOptions, openEmbedded } from './embedded.ts';
import { openPostgres, type PostgresOptions } from './postgres.ts';

export type DatabaseOptions =
  | ({ readonly kind: 'embedded' } & EmbeddedOptions)
  | ({ readonly kind: 'postgres' } & PostgresOptions);

export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  return options.kind === 'embedded' ? openEmbedded(options) : openPostgres(options);
}
