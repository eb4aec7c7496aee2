/** Statements of imports: how far each file has come. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface RefusedLine {
  readonly line: number;
  readonly code: string;
  readonly detail: string;
}

export interface ImportRow {
  readonly bytes_done: number;
  readonly lines_done: number;
  readonly created: number;
  readonly refused: number;
  readonly last_refused: readonly RefusedLine[];
  readonly finished_at: Date | null;
}

const columns = 'bytes_done, lines_done, created, refused, last_refused, finished_at';

const insert = statement<[string], ImportRow>(
  'imports_insert',
  `insert into user_imports (digest) values ($1) on conflict (digest) do nothing returning ${columns}`,
);

const find = statement<[string], ImportRow>('imports_find', `select ${columns} from user_imports where digest = $1`);

const remove = statement<[string], never>('imports_delete', 'delete from user_imports where digest = $1');

const updateProgress = statement<[string, number, number, number, number, number, string, boolean], { digest: string }>(
  'imports_update_progress',
  `update user_imports
      set bytes_done = $3, lines_done = $4, created = created + $5, refused = refused + $6, last_refused = $7::jsonb,
          finished_at = case when $8 then clock_timestamp() end
    where digest = $1 and bytes_done = $2 and finished_at is null returning digest`,
);

/** `undefined` when this file was begun before. */
export const insertImport = (on: Queryable, digest: string): Promise<ImportRow | undefined> =>
  one(on, insert, [digest]);

export const findImport = (on: Queryable, digest: string): Promise<ImportRow | undefined> => one(on, find, [digest]);

export async function deleteImport(on: Queryable, digest: string): Promise<void> {
  await on.run(remove, [digest]);
}

/** Moves on from exactly `fromByte`; false when somebody else has. Holds the row until the transaction ends. */
export async function updateImportProgress(
  on: Queryable,
  digest: string,
  step: {
    readonly fromByte: number;
    readonly toByte: number;
    readonly toLine: number;
    readonly created: number;
    readonly refused: readonly RefusedLine[];
    readonly isLast: boolean;
  },
): Promise<boolean> {
  const row = await one(on, updateProgress, [
    digest,
    step.fromByte,
    step.toByte,
    step.toLine,
    step.created,
    step.refused.length,
    JSON.stringify(step.refused),
    step.isLast,
  ]);
  return row !== undefined;
}
