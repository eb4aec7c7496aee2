/** Use cases of API keys; see `index.ts` for what they guarantee. */
import { coversAll, isPermission, type Receipt } from '@auth-service/protocol';
import type { Audit, Origin } from '../audit/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import { type FieldError, type Refusal, refusal } from '../platform/http/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { NewRevocation, Revocation } from '../revocation/index.ts';
import {
  freshAuthenticationSeconds,
  type Principal,
  reauthenticationRequired,
  type Sessions,
} from '../sessions/index.ts';
import { makeApiKey } from './api-key.rule.ts';
import {
  type ApiKeyRow,
  countLiveKeys,
  deleteEndedKeys,
  findActiveOwner,
  findKeyForUpdate,
  insertApiKey,
  listApiKeys,
  type OwnerRow,
  updateAllRevoked,
  updateKeyRevoked,
  updateLastUsed,
} from './api-keys.sql.ts';

export interface NewApiKey {
  readonly name: string;
  readonly permissions: readonly string[];
  /** `null`: never; `undefined`: after 90 days. */
  readonly expiresAt: Date | null | undefined;
  /** The service account that is to own it; the caller where there is none. */
  readonly serviceAccountId: string | undefined;
}

/** Who asks, and from where. */
export interface Caller {
  readonly principal: Principal;
  readonly origin: Origin;
}

export type KeyOutcome<T> = { readonly kind: 'done'; readonly value: T } | Refusal;

export interface ApiKeys {
  /** `secret` is told this once. Resolves when every live node knows the key, or after the time that a receipt waits. */
  create(key: NewApiKey, by: Caller): Promise<KeyOutcome<{ readonly row: ApiKeyRow; readonly secret: string }>>;
  /** Newest first. */
  list(page: { beforeId: string | null; ownerId: string | null; limit: number }): Promise<readonly ApiKeyRow[]>;
  /** One's own, or one whose whole scope the caller holds. */
  revoke(id: string, by: Caller): Promise<KeyOutcome<Receipt>>;
  /**
   * In the caller's transaction: ends every key of the owner. The entries belong to that transaction's one `append`; who is
   * disabled or deleted needs none of this, its keys end with the row.
   */
  endAllOf(
    tx: Queryable,
    ownerId: string,
    reason: string,
    actor: string,
  ): Promise<{ readonly ended: number; readonly entries: readonly NewRevocation[] }>;
  /** Collected in memory, written in batches by `flushUsed`. */
  used(id: string): void;
  flushUsed(): Promise<void>;
  /** Deletes what ended long ago, in bounded batches on `on`. */
  sweep(on: Queryable): Promise<number>;
}

const permissionsMax = 50;
const perOwnerMax = 100;
const defaultLifeMs = 90 * 86_400_000;
const lifeMsMax = 3_660 * 86_400_000;
/** A key that is in use all the time is written so often, not with each request. */
const usedEveryMs = 60_000;
const usedMax = 50_000;
const sweepBatch = 1_000;

export function createApiKeys(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly revocation: Revocation;
  readonly sessions: Pick<Sessions, 'ownerOf'>;
}): ApiKeys {
  const { db, clock, random, audit, revocation, sessions } = deps;
  let used = new Map<string, number>();
  let written = new Map<string, number>();

  const endOf = (id: string, reason: string, actor: string): NewRevocation => ({
    kind: 'token',
    subject: id,
    reason,
    actor,
  });

  async function ownerOf(tx: Queryable, key: NewApiKey, maker: OwnerRow): Promise<OwnerRow | Refusal> {
    if (key.serviceAccountId === undefined) return maker;
    const account = await findActiveOwner(tx, 'service_account', key.serviceAccountId);
    if (account === undefined) return invalid('/service_account_id', 'There is no such active service account.');
    return coversAll(account.permissions, key.permissions)
      ? account
      : invalid('/permissions', 'The service account does not hold all of these permissions.');
  }

  return {
    async create(key, { principal, origin }) {
      const now = clock.wallMs();
      const problem = problemOf(key, now);
      if (problem !== undefined) return problem;
      const made = makeApiKey(random);
      const done = await db.transaction(async (tx) => {
        const maker = await findActiveOwner(tx, 'user', principal.userId);
        if (maker === undefined) return refusal('token_revoked');
        // A key outlives the session that made it, which may have ended since its token was verified.
        if ((await sessions.ownerOf(tx, principal.sessionId)) !== maker.id) return refusal('token_revoked');
        if (maker.mfa_enabled && principal.claims.acr !== 'aal2') {
          return reauthenticationRequired(freshAuthenticationSeconds, 'aal2');
        }
        // Of the credential and of the account: neither may have lost it.
        const holds = holdsAll([maker.permissions, principal.claims.permissions], key.permissions);
        const event = { type: 'api_key.created', actor: principal.userId } as const;
        if (!holds) {
          const detail = { reason: 'insufficient_permissions', permissions: key.permissions };
          await audit.append(tx, origin, { ...event, target: null, outcome: 'denied', detail });
          return refusal('insufficient_permissions', { detail: 'Nobody makes a key for what they may not do.' });
        }
        const owner = await ownerOf(tx, key, maker);
        if ('kind' in owner) return owner;
        if ((await countLiveKeys(tx, owner.id)) >= perOwnerMax) {
          return refusal('conflict', { detail: `An owner has at most ${perOwnerMax} keys: revoke one first.` });
        }
        const row = await insertApiKey(tx, {
          id: random.uuidv7(now),
          name: key.name,
          prefix: made.prefix,
          hash: made.hash,
          permissions: [...new Set(key.permissions)].toSorted(),
          ownerKind: key.serviceAccountId === undefined ? 'user' : 'service_account',
          ownerId: owner.id,
          createdBy: principal.userId,
          expiresAt: key.expiresAt === undefined ? new Date(now + defaultLifeMs) : key.expiresAt,
        });
        await audit.append(tx, origin, {
          ...event,
          target: row.id,
          outcome: 'success',
          detail: { name: row.name, permissions: row.permissions, owner: row.owner_id },
        });
        return { kind: 'done', row, pending: await revocation.mark(tx) } as const;
      });
      if (done.kind === 'refused') return done;
      await revocation.settle(done.pending, principal.userId);
      return { kind: 'done', value: { row: done.row, secret: made.text } };
    },

    list: (page) => listApiKeys(db, page),

    async revoke(id, { principal, origin }) {
      const done = await db.transaction(async (tx) => {
        const held = await heldBy(tx, principal);
        const row = await findKeyForUpdate(tx, id);
        if (row === undefined) return refusal('not_found');
        const event = { type: 'api_key.revoked', actor: principal.userId, target: id } as const;
        const detail = { name: row.name, owner: row.owner_id };
        if (row.owner_id !== principal.userId && !holdsAll(held, row.permissions)) {
          await audit.append(tx, origin, { ...event, outcome: 'denied', detail });
          return refusal('insufficient_permissions', { detail: 'Nobody ends a key that may do what they may not.' });
        }
        await updateKeyRevoked(tx, id, 'revoked');
        await audit.append(tx, origin, { ...event, outcome: 'success', detail });
        const pending = await revocation.append(tx, [endOf(id, 'api_key_revoked', principal.userId)]);
        return { kind: 'done', pending } as const;
      });
      if (done.kind === 'refused') return done;
      return { kind: 'done', value: await revocation.settle(done.pending, principal.userId) };
    },

    async endAllOf(tx, ownerId, reason, actor) {
      const ids = await updateAllRevoked(tx, ownerId, reason);
      return { ended: ids.length, entries: ids.map((id) => endOf(id, reason, actor)) };
    },

    used(id) {
      const now = clock.wallMs();
      if (now - (written.get(id) ?? 0) < usedEveryMs) return;
      if (used.size < usedMax || used.has(id)) used.set(id, now);
    },

    async flushUsed() {
      if (used.size === 0) return;
      const batch = [...used].map(([id, ms]) => ({ id, ms })).sort((a, b) => (a.id < b.id ? -1 : 1));
      used = new Map();
      await updateLastUsed(db, batch);
      if (written.size + batch.length > usedMax) written = new Map();
      for (const { id, ms } of batch) written.set(id, ms);
    },

    async sweep(on) {
      let deleted = 0;
      for (;;) {
        const batch = await deleteEndedKeys(on, sweepBatch);
        deleted += batch;
        if (batch < sweepBatch) return deleted;
      }
    },
  };
}

/** What who asks may do now: by the credential and by the account, of which neither may have lost it. */
export async function heldBy(tx: Queryable, principal: Principal): Promise<readonly (readonly string[])[]> {
  const owner =
    (await findActiveOwner(tx, 'user', principal.userId)) ??
    (principal.apiKeyId === null ? undefined : await findActiveOwner(tx, 'service_account', principal.userId));
  return [owner?.permissions ?? [], principal.claims.permissions];
}

export const holdsAll = (each: readonly (readonly string[])[], wanted: readonly string[]): boolean =>
  each.every((held) => coversAll(held, wanted));

function problemOf({ permissions, expiresAt }: NewApiKey, nowMs: number): Refusal | undefined {
  const problem = permissionsProblem(permissions);
  if (problem !== undefined) return problem;
  const life = expiresAt === undefined || expiresAt === null ? 1 : expiresAt.getTime() - nowMs;
  if (!(life > 0)) return invalid('/expires_at', 'This must be in the future.');
  return life > lifeMsMax ? invalid('/expires_at', 'This must be within ten years, or null for never.') : undefined;
}

export function permissionsProblem(permissions: readonly string[]): Refusal | undefined {
  const wrong = permissions.findIndex((permission) => !isPermission(permission));
  if (wrong !== -1) return invalid(`/permissions/${wrong}`, 'Write a permission as resource:action.');
  return permissions.length > permissionsMax ? invalid('/permissions', `At most ${permissionsMax}.`) : undefined;
}

export function invalid(pointer: string, detail: string): Refusal {
  const errors: readonly FieldError[] = [{ pointer, code: 'invalid', detail }];
  return refusal('validation_failed', { errors });
}
