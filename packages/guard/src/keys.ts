/**
 * The keys that may verify. A key has one name and one algorithm, fixed when it is put in: a token's header chooses among
 * keys, never among algorithms (RFC 8725 section 3.1).
 */
import type { KeyObject } from 'node:crypto';
import type { SigningAlgorithm } from '@auth-service/protocol';
import { isRocaModulus } from './roca.ts';

/** A public key with its name and its one algorithm. */
export interface VerificationKey {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly publicKey: KeyObject;
}

/** The keys that may verify now, by name. */
export interface KeySet {
  /** Puts this list in the place of the old one. Throws `TypeError` for a key that does not fit its algorithm; then nothing changes. */
  replace(keys: readonly VerificationKey[]): void;
  /** The key of that name. The same object for as long as the key stays the same, over any number of `replace`. */
  find(kid: string): VerificationKey | undefined;
  /** Another number after each change. */
  version(): number;
}

/** The longest key name that is looked up, in UTF-16 units. */
export const kidLengthMax = 256;
const keysMax = 1_000;
const rsaBitsMin = 2_048;
const rsaExponentMin = 65_537n;

/** An empty set: without keys every token is refused. */
export function createKeySet(): KeySet {
  // A Map, not an object: `__proto__` and `constructor` are names like others.
  let held: ReadonlyMap<string, VerificationKey> = new Map();
  let version = 0;
  return {
    replace(keys) {
      if (keys.length > keysMax) throw new TypeError(`at most ${keysMax} verification keys`);
      const next = new Map<string, VerificationKey>();
      for (const key of keys) {
        assertUsable(key);
        if (next.has(key.kid)) throw new TypeError('two verification keys have the same kid');
        const old = held.get(key.kid);
        next.set(key.kid, old !== undefined && isSame(old, key) ? old : Object.freeze({ ...key }));
      }
      const unchanged = next.size === held.size && [...next].every(([kid, key]) => held.get(kid) === key);
      if (unchanged) return;
      held = next;
      version += 1;
    },
    find: (kid) => held.get(kid),
    version: () => version,
  };
}

const isSame = (a: VerificationKey, b: VerificationKey): boolean =>
  a.algorithm === b.algorithm && (a.publicKey === b.publicKey || a.publicKey.equals(b.publicKey));

function assertUsable(key: VerificationKey): void {
  if (!isUsable(key))
    throw new TypeError(`this key has no fit name, does not fit the algorithm ${key.algorithm}, or is weak`);
}

/** Whether the key is a public one of its algorithm's kind, and strong enough. */
export function isUsable({ kid, algorithm, publicKey }: VerificationKey): boolean {
  if (kid === '' || kid.length > kidLengthMax || publicKey.type !== 'public') return false;
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  switch (algorithm) {
    case 'EdDSA':
      return type === 'ed25519';
    case 'ES256':
      return type === 'ec' && details?.namedCurve === 'prime256v1';
    case 'RS256':
      return (
        type === 'rsa' &&
        (details?.modulusLength ?? 0) >= rsaBitsMin &&
        (details?.publicExponent ?? 0n) >= rsaExponentMin &&
        !isRocaModulus(modulusOf(publicKey))
      );
    default:
      return false;
  }
}

function modulusOf(publicKey: KeyObject): bigint {
  const { n = '' } = publicKey.export({ format: 'jwk' });
  return BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`);
}
