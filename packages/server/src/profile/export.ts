/**
 * All that is kept about a person, line by line: the account, its sessions, factors and keys, and the events of the audit log that
 * name it. No secret and no hash. Where somebody else acted, only what was done is told, not from where.
 */
import { findUserById, toUser } from '../accounts/index.ts';
import type { Audit, ListedAuditRow, Origin } from '../audit/index.ts';
import type { Database } from '../platform/database/index.ts';
import { type Sessions, toSession } from '../sessions/index.ts';

export interface ExportedLine {
  readonly kind: 'account' | 'session' | 'passkey' | 'api_key' | 'audit_event';
}

/** `undefined` when there is no such account. The export itself is an event. */
export type ExportUser = (
  userId: string,
  by: { readonly actor: string; readonly origin: Origin },
) => Promise<AsyncGenerator<ExportedLine> | undefined>;

interface KeyRow {
  readonly id: string;
}

const page = 200;

export function createExport(deps: {
  readonly db: Database;
  readonly audit: Audit;
  readonly sessions: Pick<Sessions, 'list'>;
  readonly passkeys: { list(userId: string): Promise<readonly object[]> };
  readonly apiKeys: {
    list(page: { beforeId: string | null; ownerId: string | null; limit: number }): Promise<readonly KeyRow[]>;
  };
}): ExportUser {
  const { db, audit, sessions, passkeys, apiKeys } = deps;

  async function* lines(userId: string, account: object): AsyncGenerator<ExportedLine> {
    yield { kind: 'account', ...account };
    for (const row of await sessions.list(userId)) yield { kind: 'session', ...toSession(row, '') };
    for (const passkey of await passkeys.list(userId)) yield { kind: 'passkey', ...passkey };
    let beforeId: string | null = null;
    do {
      const keys: readonly KeyRow[] = await apiKeys.list({ beforeId, ownerId: userId, limit: page });
      for (const key of keys) yield { kind: 'api_key', ...key };
      beforeId = keys.length < page ? null : (keys.at(-1)?.id ?? null);
    } while (beforeId !== null);
    let before: string | null = null;
    do {
      const found: Awaited<ReturnType<Audit['list']>> = await audit.list({ about: userId }, { limit: page, before });
      for (const event of found.events) yield { kind: 'audit_event', ...shownTo(userId, event) };
      before = found.next;
    } while (before !== null);
  }

  return async (userId, by) => {
    const user = await findUserById(db, userId);
    if (user === undefined) return undefined;
    await audit.append(db, by.origin, { type: 'user.exported', actor: by.actor, target: userId, outcome: 'success' });
    return lines(userId, { ...toUser(user), status: user.status });
  };
}

function shownTo(userId: string, event: ListedAuditRow): object {
  const { id, time, type, target, outcome } = event;
  if (event.actor !== userId) return { id, time, type, actor: null, target, outcome };
  return { id, time, type, actor: userId, target, outcome, ip: event.ip, user_agent: event.user_agent };
}
