/**
 * Public keys as JSON Web Keys (RFC 7517), for verifiers that fetch a key set. A key is taken only when it says what it is for:
 * one algorithm of ours, signatures, a name. Anything else is left out; a set that names one key twice, or mixes shared secrets
 * in, is refused as a whole (`undefined`), because nobody can tell which key was meant.
 */
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import type { SigningAlgorithm } from '@auth-service/protocol';
import type { JsonObject } from './json.ts';
import { isUsable, type VerificationKey } from './keys.ts';

const keyTypes: Readonly<Record<SigningAlgorithm, string>> = { EdDSA: 'OKP', ES256: 'EC', RS256: 'RSA' };

const isAlgorithm = (alg: unknown): alg is SigningAlgorithm => typeof alg === 'string' && Object.hasOwn(keyTypes, alg);
const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null;

/** The keys of a set that verify access tokens; `undefined` for what is no unambiguous set of public keys. */
export function readJwks(jwks: unknown): readonly VerificationKey[] | undefined {
  const members = isObject(jwks) ? jwks['keys'] : undefined;
  if (!Array.isArray(members) || !members.every(isObject)) return undefined;
  if (members.some((jwk) => jwk['kty'] === 'oct')) return undefined;
  const names = members.map((jwk) => jwk['kid']);
  if (new Set(names).size !== names.length) return undefined;
  return members.map(readJwk).filter((key) => key !== undefined);
}

/** One key; `undefined` when it does not say, or is not fit, to verify access tokens. */
export function readJwk(jwk: JsonObject): VerificationKey | undefined {
  const {
    kty,
    kid,
    alg,
    use,
    key_ops: operations,
  } = jwk as Readonly<Record<'kty' | 'kid' | 'alg' | 'use' | 'key_ops', unknown>>;
  if (!isAlgorithm(alg) || kty !== keyTypes[alg] || typeof kid !== 'string') return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  const { crv, x, y, n, e } = jwk;
  try {
    // Members of a private key are not handed on: what is served publicly is public.
    const publicKey = createPublicKey({ key: definedOf({ kty, crv, x, y, n, e }) as JsonWebKey, format: 'jwk' });
    const key: VerificationKey = { kid, algorithm: alg, publicKey };
    return isUsable(key) ? key : undefined;
  } catch {
    return undefined; // A point off its curve, or no number at all: no key.
  }
}

const definedOf = (members: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
