/** How an account is shown: never a hash or a secret. */
import type { User } from '@auth-service/protocol';

export interface ShownUser {
  readonly id: string;
  readonly email: string;
  readonly email_verified: boolean;
  readonly first_name: string | null;
  readonly last_name: string | null;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly mfa_enabled: boolean;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly last_login_at: Date | null;
}

export function toUser(row: ShownUser): User {
  return {
    id: row.id,
    email: row.email,
    email_verified: row.email_verified,
    first_name: row.first_name,
    last_name: row.last_name,
    roles: [...row.roles],
    permissions: [...row.permissions],
    mfa_enabled: row.mfa_enabled,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    last_login_at: row.last_login_at?.toISOString() ?? null,
  };
}

/**
 * Whether another registration of its address may take the account's place, once the address is proven: nobody has proven it, and
 * the account is no more than what every registration gives.
 */
export const mayBeRegisteredAgain = (row: Pick<ShownUser, 'email_verified' | 'roles'>): boolean =>
  !row.email_verified && row.roles.every((role) => role === 'user');
