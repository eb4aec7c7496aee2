/**
 * API keys, and the service accounts that own some of them.
 *
 * - A key is 256 random bits under a name that may be shown; only its SHA-256 is stored, and it is told once.
 * - It may do of its scope what its owner holds now: never more than its maker held, and less as soon as the owner has less.
 * - Nobody ends a key of somebody else, or changes or ends a service account, that may do what they may not.
 * - Every node holds all of them in memory, read with the beat by the cursor of the ledger: nothing is asked of the store to
 *   verify one, a new one is known everywhere when its answer arrives, and a node that cannot prove that it knows every end
 *   answers 503 for keys as for tokens.
 * - Revoked, expired, or with an owner that is disabled or gone it is dead for good: the ends are entries of the ledger.
 * - It is no session: what asks for a person (`/me`, step-up, making keys) refuses it.
 * - Without the database keys are verified up to the bound of freshness; nothing is made or revoked.
 */

export { type ApiKeys, createApiKeys } from './api-keys.ts';
export { createFollowKeys, type FollowKeys } from './held-keys.ts';
export { createServiceAccounts, type ServiceAccounts } from './service-accounts.ts';
