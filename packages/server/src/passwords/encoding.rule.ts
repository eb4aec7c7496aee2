/**
 * The encoded forms of password hashes: what is stored, what an import may bring, what a login should renew.
 *
 * - Our bcrypt form is `$bcrypt-sha256$v=2,t=2b,r=<cost>$<salt>$<digest>` (the second version of passlib's format): bcrypt over
 *   the base64 of HMAC-SHA-256 keyed with the salt. bcrypt alone reads 72 octets and may stop at a NUL; this reads them all.
 * - argon2id is a PHC string with its parameters. Plain `$2a$`, `$2b$` and `$2y$` are verified too, as imports bring them.
 * - Costs are bounded both ways before anything is computed, so that no stored text can occupy a worker for minutes.
 */

export type PasswordAlgorithm = 'bcrypt' | 'argon2id';

/** What new hashes are made with. */
export interface HashParameters {
  readonly algorithm: PasswordAlgorithm;
  readonly bcryptCost: number;
}

/** OWASP's minimum for argon2id; 11 ms on the machine where bcrypt at cost 12 takes 208. */
export const argon2idParameters = { memoryKib: 19_456, passes: 2, lanes: 1, saltBytes: 16, digestBytes: 32 } as const;

export type EncodedHash =
  | { readonly kind: 'bcrypt-sha256'; readonly cost: number; readonly salt: string; readonly digest: string }
  | { readonly kind: 'bcrypt'; readonly cost: number }
  | { readonly kind: 'argon2id'; readonly memoryKib: number; readonly passes: number; readonly lanes: number };

const bcryptSha256 = /^\$bcrypt-sha256\$v=2,t=2b,r=([4-9]|[12]\d)\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})$/;
const plainBcrypt = /^\$2[aby]\$(0[4-9]|[12]\d)\$[./A-Za-z0-9]{53}$/;
const argon2id = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$/;

/** A verification above these would take seconds of a core, or hundreds of megabytes. */
const bcryptCostMax = 16;
const argon2idMax = { memoryKib: 262_144, passes: 16, lanes: 16, workKib: 1_048_576 } as const;
/** Below these an import is refused: such hashes can be searched at leisure. */
const importMin = { bcryptCost: 8, argon2idMemoryKib: 4096 } as const;

/** `undefined` for unknown formats and for costs beyond the bounds. */
export function parseEncodedHash(encoded: string): EncodedHash | undefined {
  const keyed = bcryptSha256.exec(encoded);
  if (keyed !== null) {
    const [, cost = '', salt = '', digest = ''] = keyed;
    return Number(cost) <= bcryptCostMax ? { kind: 'bcrypt-sha256', cost: Number(cost), salt, digest } : undefined;
  }
  const plain = plainBcrypt.exec(encoded);
  if (plain !== null) {
    const cost = Number(plain[1]);
    return cost <= bcryptCostMax ? { kind: 'bcrypt', cost } : undefined;
  }
  const phc = argon2id.exec(encoded);
  if (phc === null) return undefined;
  const [memoryKib = 0, passes = 0, lanes = 0] = phc.slice(1, 4).map(Number);
  const bounded =
    passes >= 1 &&
    lanes >= 1 &&
    memoryKib >= 8 * lanes &&
    memoryKib <= argon2idMax.memoryKib &&
    passes <= argon2idMax.passes &&
    lanes <= argon2idMax.lanes &&
    memoryKib * passes <= argon2idMax.workKib;
  return bounded ? { kind: 'argon2id', memoryKib, passes, lanes } : undefined;
}

/** Whether an import may bring this hash. */
export function isImportableHash(encoded: string): boolean {
  const parsed = parseEncodedHash(encoded);
  if (parsed === undefined) return false;
  return parsed.kind === 'argon2id'
    ? parsed.memoryKib >= importMin.argon2idMemoryKib
    : parsed.cost >= importMin.bcryptCost;
}

/**
 * Whether a good login should store a new hash: the algorithm is not the configured one, or the cost is lower. A higher cost
 * stays. Accounts so converge on one algorithm and take the same time as the dummy hash does.
 */
export function needsRehash(parsed: EncodedHash, current: HashParameters): boolean {
  if (current.algorithm === 'bcrypt') return parsed.kind !== 'bcrypt-sha256' || parsed.cost < current.bcryptCost;
  return (
    parsed.kind !== 'argon2id' ||
    parsed.memoryKib < argon2idParameters.memoryKib ||
    parsed.passes < argon2idParameters.passes
  );
}

/** bcrypt's own alphabet, in its order. */
const bcryptAlphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/**
 * A hash of nobody's password: well-formed, of the current algorithm and cost, its digest random. Verifying it takes as long
 * as verifying a real one and answers no; making it costs nothing. `random` are 64 octets or more.
 */
export function dummyHash(current: HashParameters, random: Uint8Array): string {
  if (current.algorithm === 'bcrypt') {
    const text = Array.from(random.subarray(0, 53), (octet) => bcryptAlphabet[octet & 63]).join('');
    // The last characters of salt and digest carry spare bits; these two have them zero.
    return `$bcrypt-sha256$v=2,t=2b,r=${current.bcryptCost}$${text.slice(0, 21)}O$${text.slice(22, 52)}u`;
  }
  const { memoryKib, passes, lanes, saltBytes, digestBytes } = argon2idParameters;
  const text = (from: number, length: number): string =>
    Buffer.from(random.subarray(from, from + length))
      .toString('base64')
      .replaceAll('=', '');
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${text(0, saltBytes)}$${text(saltBytes, digestBytes)}`;
}
