/**
 * What nodes say to each other, as text: one JSON list each. Read strictly: what is not exactly one of these is nothing. A hint
 * carries facts that stand in the ledger, so it can only add.
 */
import type { RevocationEntry } from '@auth-service/protocol';

/** A transaction, by its id in one history of the store. */
export interface Transaction {
  readonly xid: string;
  readonly storeEpoch: string;
}

export type Message =
  /** All that this transaction revoked. */
  | ({ readonly kind: 'hint'; readonly entries: readonly RevocationEntry[] } & Transaction)
  /** The ledger holds more of it than fits here. */
  | ({ readonly kind: 'look' } & Transaction)
  /** The sender refuses all that this transaction revoked. */
  | ({ readonly kind: 'acknowledgement' } & Transaction)
  /** Proof that a way works. */
  | { readonly kind: 'canary' };

const entriesMax = 400;
const textLengthMax = 60_000;
const subjectLengthMax = 1_024;
const epochLengthMax = 256;
const xidForm = /^[1-9][0-9]{0,19}$/;
const kinds: readonly unknown[] = ['token', 'session', 'user', 'key'] satisfies readonly RevocationEntry['kind'][];

export function writeMessage(message: Message): string {
  if (message.kind === 'canary') return '["canary"]';
  const { kind, xid, storeEpoch } = message;
  if (kind !== 'hint') return JSON.stringify([kind, xid, storeEpoch]);
  const rows = message.entries.map((entry) => [entry.kind, entry.subject, entry.min_epoch, entry.expires_at]);
  return JSON.stringify([kind, xid, storeEpoch, rows]);
}

/** The news of a transaction: the entries where they fit, else the word to look. */
export function writeNews(transaction: Transaction, entries: readonly RevocationEntry[]): string {
  const { xid, storeEpoch } = transaction;
  if (entries.length > 0 && entries.length <= entriesMax) {
    const text = writeMessage({ kind: 'hint', xid, storeEpoch, entries });
    if (Buffer.byteLength(text) <= textLengthMax) return text;
  }
  return writeMessage({ kind: 'look', xid, storeEpoch });
}

export function readMessage(text: string): Message | undefined {
  if (text.length > textLengthMax) return undefined;
  const parts = parse(text);
  if (!Array.isArray(parts)) return undefined;
  const [kind, xid, storeEpoch, rows] = parts as readonly unknown[];
  if (kind === 'canary') return parts.length === 1 ? { kind } : undefined;
  if (typeof xid !== 'string' || !xidForm.test(xid)) return undefined;
  if (typeof storeEpoch !== 'string' || storeEpoch === '' || storeEpoch.length > epochLengthMax) return undefined;
  if (kind === 'look' || kind === 'acknowledgement') return parts.length === 3 ? { kind, xid, storeEpoch } : undefined;
  if (kind !== 'hint' || parts.length !== 4) return undefined;
  const entries = readEntries(rows);
  return entries === undefined ? undefined : { kind, xid, storeEpoch, entries };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** All of them or none: half a hint must not be acknowledged. */
function readEntries(rows: unknown): readonly RevocationEntry[] | undefined {
  if (!Array.isArray(rows) || rows.length === 0 || rows.length > entriesMax) return undefined;
  const entries: RevocationEntry[] = [];
  for (const row of rows as readonly unknown[]) {
    const entry = readEntry(row);
    if (entry === undefined) return undefined;
    entries.push(entry);
  }
  return entries;
}

function readEntry(row: unknown): RevocationEntry | undefined {
  if (!Array.isArray(row) || row.length !== 4) return undefined;
  const [kind, subject, epoch, expiresAt] = row as readonly unknown[];
  if (!kinds.includes(kind)) return undefined;
  if (typeof subject !== 'string' || subject === '' || subject.length > subjectLengthMax) return undefined;
  if (!isCount(epoch) || !isCount(expiresAt)) return undefined;
  return { kind: kind as RevocationEntry['kind'], subject, min_epoch: epoch, expires_at: expiresAt };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
