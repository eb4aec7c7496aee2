/**
 * The root secret and what is derived from it. Each purpose has a key of its own (HKDF-SHA-256, RFC 5869), so nothing
 * sealed or signed for one purpose is accepted for another. While the root secret is being rotated the previous one still
 * opens and verifies; only the current one seals and signs.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import type { Random } from '../platform/random/index.ts';

/** The closed list of purposes. */
export type KeyPurpose =
  | 'signing-keys'
  | 'refresh-tokens'
  | 'device-tokens'
  | 'lockout'
  | 'positions'
  | 'mfa-secrets'
  | 'mail'
  | 'cursors'
  | 'idempotency'
  | 'audit-anchors';

export interface RootSecret {
  /** HMAC-SHA-256 under the current key of `purpose`. */
  mac(purpose: KeyPurpose, ...parts: readonly (string | Uint8Array)[]): Buffer;
  /** Whether `expected` is the (possibly truncated) MAC of `parts` under the current or the previous key. */
  macMatches(purpose: KeyPurpose, expected: Uint8Array, ...parts: readonly (string | Uint8Array)[]): boolean;
  /** The current key of `purpose`, for a room that keeps its own format. */
  key(purpose: KeyPurpose): Buffer;
  /** AES-256-GCM with a random 96-bit nonce; `context` is authenticated with it, so rows cannot be swapped. */
  seal(purpose: KeyPurpose, context: string, plain: Uint8Array): Buffer;
  /** `undefined` when no key of ours opens it. `current` is false when only the previous secret did. */
  open(purpose: KeyPurpose, context: string, sealed: Uint8Array): { plain: Buffer; current: boolean } | undefined;
  /** Whether a previous secret still opens what it sealed. */
  readonly hasPrevious: boolean;
}

const formatVersion = 1;
const nonceBytes = 12;
const tagBytes = 16;

export function createRootSecret(options: {
  readonly current: string;
  readonly previous: string | undefined;
  readonly random: Random;
}): RootSecret {
  const secrets = [options.current, ...(options.previous === undefined ? [] : [options.previous])];
  const cache = new Map<KeyPurpose, readonly Buffer[]>();
  const keysOf = (purpose: KeyPurpose): readonly Buffer[] => {
    let keys = cache.get(purpose);
    if (keys === undefined) {
      keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', `auth-service/${purpose}/v1`, 32)));
      cache.set(purpose, keys);
    }
    return keys;
  };
  const currentOf = (purpose: KeyPurpose): Buffer => {
    const [key] = keysOf(purpose);
    if (key === undefined) throw new Error('there is always a current key');
    return key;
  };
  const macKeys = new Map<KeyPurpose, readonly [KeyObject, ...KeyObject[]]>();
  const macKeysOf = (purpose: KeyPurpose): readonly [KeyObject, ...KeyObject[]] => {
    let keys = macKeys.get(purpose);
    if (keys === undefined) {
      const [, ...previous] = keysOf(purpose);
      keys = [createSecretKey(currentOf(purpose)), ...previous.map((key) => createSecretKey(key))];
      macKeys.set(purpose, keys);
    }
    return keys;
  };
  return {
    mac: (purpose, ...parts) => macOf(macKeysOf(purpose)[0], parts),
    macMatches(purpose, expected, ...parts) {
      return macKeysOf(purpose).some((key) => {
        const actual = macOf(key, parts).subarray(0, expected.length);
        return actual.length === expected.length && timingSafeEqual(actual, expected);
      });
    },
    key: currentOf,
    seal(purpose, context, plain) {
      const nonce = options.random.bytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', currentOf(purpose), nonce);
      cipher.setAAD(Buffer.from(context));
      const text = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([Buffer.from([formatVersion]), nonce, cipher.getAuthTag(), text]);
    },
    open(purpose, context, sealed) {
      const keys = keysOf(purpose);
      for (const [index, key] of keys.entries()) {
        const plain = openWith(key, context, sealed);
        if (plain !== undefined) return { plain, current: index === 0 };
      }
      return undefined;
    },
    hasPrevious: options.previous !== undefined,
  };
}

/**
 * Parts are length-prefixed, so no two lists of parts have one MAC. The key is a `KeyObject`: for bytes Node 24 looks first
 * whether they are one, at six times the cost of the whole MAC.
 */
function macOf(key: KeyObject, parts: readonly (string | Uint8Array)[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hmac.update(length).update(bytes);
  }
  return hmac.digest();
}

function openWith(key: Buffer, context: string, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < 1 + nonceBytes + tagBytes || sealed[0] !== formatVersion) return undefined;
  const nonce = sealed.subarray(1, 1 + nonceBytes);
  const tag = sealed.subarray(1 + nonceBytes, 1 + nonceBytes + tagBytes);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(sealed.subarray(1 + nonceBytes + tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
}
