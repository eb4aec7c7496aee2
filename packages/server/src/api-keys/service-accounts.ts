/** Use cases of service accounts; see `index.ts` for what they guarantee. */
import type { Receipt } from '@auth-service/protocol';
import type { Audit } from '../audit/index.ts';
import type { Database } from '../platform/database/index.ts';
import { refusal } from '../platform/http/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { Revocation } from '../revocation/index.ts';
import { findActiveOwner } from './api-keys.sql.ts';
import { type Caller, heldBy, holdsAll, type KeyOutcome, permissionsProblem } from './api-keys.ts';
import {
  countServiceAccounts,
  deleteServiceAccount,
  findServiceAccountForUpdate,
  insertServiceAccount,
  listServiceAccounts,
  type ServiceAccountRow,
  updateServiceAccount,
} from './service-accounts.sql.ts';

export interface ServiceAccountChange {
  readonly description?: string | null | undefined;
  readonly permissions?: readonly string[] | undefined;
  readonly status?: ServiceAccountRow['status'] | undefined;
}

export interface ServiceAccounts {
  create(
    account: { readonly name: string; readonly description: string | null; readonly permissions: readonly string[] },
    by: Caller,
  ): Promise<KeyOutcome<ServiceAccountRow>>;
  /** Newest first. */
  list(page: { beforeId: string | null; limit: number }): Promise<readonly ServiceAccountRow[]>;
  /** By who holds all that it carries, before and after. Other permissions hold for its keys at once; `disabled` ends them for good. */
  change(id: string, change: ServiceAccountChange, by: Caller): Promise<KeyOutcome<ServiceAccountRow>>;
  /** Its keys are dead with it. */
  remove(id: string, by: Caller): Promise<KeyOutcome<Receipt>>;
}

const accountsMax = 10_000;
const notHeld = { detail: 'Nobody grants, changes or takes away what they do not hold.' };

export function createServiceAccounts(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly revocation: Revocation;
}): ServiceAccounts {
  const { db, clock, random, audit, revocation } = deps;

  return {
    async create({ name, description, permissions }, { principal, origin }) {
      const problem = permissionsProblem(permissions);
      if (problem !== undefined) return problem;
      return db.transaction(async (tx): Promise<KeyOutcome<ServiceAccountRow>> => {
        const maker = await findActiveOwner(tx, 'user', principal.userId);
        const event = { type: 'service_account.created', actor: principal.userId } as const;
        if (maker === undefined || !holdsAll([maker.permissions, principal.claims.permissions], permissions)) {
          await audit.append(tx, origin, { ...event, target: null, outcome: 'denied', detail: { permissions } });
          return refusal('insufficient_permissions', notHeld);
        }
        if ((await countServiceAccounts(tx)) >= accountsMax) {
          return refusal('conflict', { detail: `There are at most ${accountsMax} service accounts.` });
        }
        const row = await insertServiceAccount(tx, {
          id: random.uuidv7(clock.wallMs()),
          name,
          description,
          permissions: [...new Set(permissions)].toSorted(),
          createdBy: principal.userId,
        });
        if (row === undefined) return refusal('conflict', { detail: 'A service account of this name exists.' });
        const detail = { name: row.name, permissions: row.permissions };
        await audit.append(tx, origin, { ...event, target: row.id, outcome: 'success', detail });
        return { kind: 'done', value: row };
      });
    },

    list: (page) => listServiceAccounts(db, page),

    async change(id, change, { principal, origin }) {
      const problem = permissionsProblem(change.permissions ?? []);
      if (problem !== undefined) return problem;
      const done = await db.transaction(async (tx) => {
        const maker = await findActiveOwner(tx, 'user', principal.userId);
        const now = await findServiceAccountForUpdate(tx, id);
        if (now === undefined) return refusal('not_found');
        const event = { type: 'service_account.changed', actor: principal.userId, target: id } as const;
        const to = {
          description: change.description === undefined ? now.description : change.description,
          permissions: [...new Set(change.permissions ?? now.permissions)].toSorted(),
          status: change.status ?? now.status,
        };
        const carried = [...new Set([...now.permissions, ...to.permissions])].toSorted();
        if (maker === undefined || !holdsAll([maker.permissions, principal.claims.permissions], carried)) {
          await audit.append(tx, origin, { ...event, outcome: 'denied', detail: { permissions: carried } });
          return refusal('insufficient_permissions', notHeld);
        }
        const row = await updateServiceAccount(tx, id, to);
        if (row === undefined) return refusal('not_found');
        const entry = {
          kind: 'user',
          subject: id,
          minEpoch: row.epoch,
          reason: row.status === 'disabled' ? 'disabled' : 'roles_changed',
          actor: principal.userId,
        } as const;
        const pending = await revocation.append(tx, row.epoch === now.epoch ? [] : [entry]);
        const detail = { permissions: row.permissions, status: row.status };
        await audit.append(tx, origin, { ...event, outcome: 'success', detail });
        return { kind: 'done', row, pending } as const;
      });
      if (done.kind === 'refused') return done;
      if (done.pending !== null) await revocation.settle(done.pending, principal.userId);
      return { kind: 'done', value: done.row };
    },

    async remove(id, { principal, origin }) {
      const done = await db.transaction(async (tx) => {
        const held = await heldBy(tx, principal);
        const now = await findServiceAccountForUpdate(tx, id);
        if (now === undefined) return refusal('not_found');
        const event = { type: 'service_account.deleted', actor: principal.userId, target: id } as const;
        if (!holdsAll(held, now.permissions)) {
          await audit.append(tx, origin, { ...event, outcome: 'denied', detail: { permissions: now.permissions } });
          return refusal('insufficient_permissions', notHeld);
        }
        await deleteServiceAccount(tx, id);
        await audit.append(tx, origin, { ...event, outcome: 'success', detail: { name: now.name } });
        const minEpoch = now.epoch + 1;
        const pending = await revocation.append(tx, [
          { kind: 'user', subject: id, minEpoch, reason: 'deleted', actor: principal.userId },
        ]);
        return { kind: 'done', pending } as const;
      });
      if (done.kind === 'refused') return done;
      return { kind: 'done', value: await revocation.settle(done.pending, principal.userId) };
    },
  };
}
