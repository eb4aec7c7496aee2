/**
 * What a route asks of its caller, checked once, when the route is defined: a requirement that could never be met, or that
 * would ask for nothing by mistake, throws `TypeError` there and not at a request.
 */
import { type Acr, isPermission } from '@auth-service/protocol';

/**
 * How sure a route must be that a token has not been revoked:
 * - `bounded` (where nothing is said): every revocation is known up to a moment at most so many seconds ago; 503 otherwise.
 *   Alone, the guard's own bound; `bounded(seconds)`, one of the route's.
 * - `strict`: the service is asked, each time; 503 when it does not answer.
 * - `best-effort`: as of the last proof, however old; `auth.stale` tells.
 */
export type FreshnessPolicy = 'bounded' | 'strict' | 'best-effort' | { readonly boundedSeconds: number };

/** Every revocation is known up to a moment at most so many seconds ago; 503 otherwise. */
export const bounded = (seconds: number): FreshnessPolicy => ({ boundedSeconds: seconds });

/** What a route asks of its caller, all of it at once. */
export interface RequireOptions {
  /** One of these roles. */
  readonly roles?: readonly string[];
  /** All of these permissions, `resource:action`. */
  readonly permissions?: readonly string[];
  /** Authenticated at most so many seconds ago (RFC 9470). */
  readonly maxAge?: number;
  /** `aal2`: with more than one factor (RFC 9470). */
  readonly acr?: Acr;
  readonly freshness?: FreshnessPolicy;
}

/** A `RequireOptions` that was checked. */
export interface Requirement {
  /** Whether a request without credentials goes on, as nobody. One with bad credentials never does. */
  readonly optional: boolean;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly maxAge: number | undefined;
  readonly acr: Acr | undefined;
  readonly freshness: FreshnessPolicy;
}

const known: readonly (keyof RequireOptions)[] = ['roles', 'permissions', 'maxAge', 'acr', 'freshness'];

/** Throws `TypeError` for what is no requirement. */
export function checkRequirement(options: RequireOptions, optional: boolean): Requirement {
  for (const name of Object.keys(options)) {
    // A misspelt requirement would ask for nothing.
    if (!(known as readonly string[]).includes(name)) throw new TypeError(`there is no requirement "${name}"`);
  }
  const { roles = [], permissions = [], maxAge, acr, freshness = 'bounded' } = options;
  if (options.roles !== undefined && !isListOf(roles, (role) => role !== '')) {
    throw new TypeError('roles is a list of at least one name');
  }
  if (options.permissions !== undefined && !isListOf(permissions, isPermission)) {
    throw new TypeError('permissions is a list of at least one `resource:action`');
  }
  if (maxAge !== undefined && !(Number.isSafeInteger(maxAge) && maxAge >= 0)) {
    throw new TypeError('maxAge is a whole number of seconds');
  }
  if (acr !== undefined && acr !== 'aal1' && acr !== 'aal2') throw new TypeError('acr is aal1 or aal2');
  assertFreshness(freshness);
  return Object.freeze({ optional, roles: [...roles], permissions: [...permissions], maxAge, acr, freshness });
}

function assertFreshness(freshness: FreshnessPolicy): void {
  if (freshness === 'bounded' || freshness === 'strict' || freshness === 'best-effort') return;
  if (typeof freshness === 'object' && freshness.boundedSeconds > 0) return;
  throw new TypeError('freshness is strict, bounded, bounded(seconds) or best-effort');
}

const isListOf = (values: readonly string[], fits: (value: string) => boolean): boolean =>
  Array.isArray(values) && values.length > 0 && values.every((value) => typeof value === 'string' && fits(value));
