/**
 * Who acts on whom: nobody grants, changes, disables or takes over what carries a right that they do not hold.
 *
 * Judged within the transaction that acts, under the one lock of everything that changes rights: so what an actor loses
 * meanwhile they have lost here, and two changes of rights never judge by each other's past.
 */
import { coversAll } from '@auth-service/protocol';
import type { Audit, Origin } from '../audit/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import { findRightsOfPrincipal, lockAdministrators } from './roles.sql.ts';

export interface Actor {
  /** User id, `cli`, or `system`. */
  readonly actor: string;
  readonly origin: Origin;
  /** What the credential carries; absent for who has the machine, and with it everything. */
  readonly holds?: readonly string[];
  /** The account or service account whose credential it is: it must be active, and hold the rights itself as well. */
  readonly userId?: string;
  /** How who acts was authenticated: asked where they act on their own account. `null`: by an API key, as nobody. */
  readonly authentication?: { readonly time: number; readonly acr: 'aal1' | 'aal2' } | null;
}

/** Takes the lock, and tells whether `by` holds all of `carried` now. */
export async function holdsNow(tx: Queryable, by: Actor, carried: readonly string[]): Promise<boolean> {
  await lockAdministrators(tx);
  if (by.holds === undefined) return true;
  if (!coversAll(by.holds, carried)) return false;
  if (by.userId === undefined) return true;
  const rights = await findRightsOfPrincipal(tx, by.userId);
  return rights?.status === 'active' && coversAll(rights.permissions, carried);
}

export const notHeld = {
  kind: 'refused',
  code: 'insufficient_permissions',
  detail: 'Nobody grants, changes or takes over rights that they do not hold.',
} as const;

/** The trace of an attempt, and its refusal; committed with the transaction, which has changed nothing else. */
export async function refuseNotHeld(
  tx: Queryable,
  audit: Audit,
  by: Actor,
  what: { readonly type: string; readonly target: string | null },
): Promise<typeof notHeld> {
  await audit.append(tx, by.origin, {
    ...what,
    actor: by.actor,
    outcome: 'denied',
    detail: { reason: notHeld.code },
  });
  return notHeld;
}
