/**
 * What every door offers, whatever the framework: five words, of which four are short for the first. A framework's door says
 * only how a requirement becomes one of its middlewares.
 */
import type { Acr } from '@auth-service/protocol';
import type { Auth, Decide } from './decide.ts';
import { checkRequirement, type FreshnessPolicy, type Requirement, type RequireOptions } from './requirement.ts';

/** What a door needs of a guard. */
export interface Decider {
  readonly decide: Decide;
}

type More = Pick<RequireOptions, 'freshness'>;

/** `Required` lets through who is known, `Optional` strangers as well. */
export interface Door<Required, Optional = Required> {
  /** Who calls is known; 401 otherwise. Whatever else is asked for holds as well. */
  requireAuth(options?: RequireOptions): Required;
  /** Without credentials the caller is nobody (`null`). Bad credentials are refused all the same. */
  optionalAuth(options?: More): Optional;
  /** One of these roles; 403 otherwise. */
  requireRole(role: string | readonly string[], options?: More): Required;
  /** All of these permissions; 403 otherwise. */
  requirePermission(permission: string | readonly string[], options?: More): Required;
  /** Authenticated so recently (seconds), or so strongly; 401 with an RFC 9470 challenge otherwise. */
  requireFresh(
    options: ({ readonly maxAge: number; readonly acr?: Acr } | { readonly maxAge?: number; readonly acr: Acr }) & More,
  ): Required;
}

export function makeDoor<Required, Optional>(
  required: (requirement: Requirement) => Required,
  optional: (requirement: Requirement) => Optional,
): Door<Required, Optional> {
  const requireAuth = (options: RequireOptions = {}): Required => required(checkRequirement(options, false));
  return {
    requireAuth,
    optionalAuth: (options: { readonly freshness?: FreshnessPolicy } = {}) => optional(checkRequirement(options, true)),
    requireRole: (role, options = {}) => requireAuth({ ...options, roles: listOf(role) }),
    requirePermission: (permission, options = {}) => requireAuth({ ...options, permissions: listOf(permission) }),
    requireFresh(options) {
      if (options.maxAge === undefined && options.acr === undefined) {
        throw new TypeError('requireFresh needs maxAge or acr');
      }
      return requireAuth(options);
    },
  };
}

const listOf = (one: string | readonly string[]): readonly string[] => (typeof one === 'string' ? [one] : one);

/** The caller, behind a door that requires one. Throws where no such door was passed: a fault of the application. */
export function authOf(request: { readonly auth?: Auth | null }): Auth {
  const { auth } = request;
  if (auth === undefined || auth === null) throw new Error('no door that requires authentication was passed');
  return auth;
}
