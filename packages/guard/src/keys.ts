/**
 * The keys that may verify. A key has one name and one algorithm, fixed when it is put in: a token's header chooses among
 * keys, never among algorithms (RFC 8725 section 3.1).
 */
import type { KeyObject } from 'node:crypto';
import type { SigningAlgorithm } from '@auth-service/protocol';

export interface VerificationKey {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly publicKey: KeyObject;
}

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

function assertUsable({ kid, algorithm, publicKey }: VerificationKey): void {
  if (kid === '' || kid.length > kidLengthMax) throw new TypeError('a verification key needs a kid of 1 to 256 units');
  if (publicKey.type !== 'public') throw new TypeError('a verification key is a public key');
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  const fits =
    (algorithm === 'EdDSA' && type === 'ed25519') ||
    (algorithm === 'ES256' && type === 'ec' && details?.namedCurve === 'prime256v1') ||
    (algorithm === 'RS256' && type === 'rsa' && (details?.modulusLength ?? 0) >= rsaBitsMin);
  if (!fits) throw new TypeError(`this key does not fit the algorithm ${algorithm}`);
}
