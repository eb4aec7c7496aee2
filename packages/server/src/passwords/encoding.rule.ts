/**
 * The encoded forms of password hashes: what is stored, what an import may bring, what a login should renew.
 *
 * - Our bcrypt form is `$bcrypt-sha256$v=2,t=2b,r=<cost>$<salt>$<digest>` (the second version of passlib's format): bcrypt over
 *   the base64 of HMAC-SHA-256 keyed with the salt. bcrypt alone reads 72 octets and may stop at a NUL; this reads them all.
 * - argon2id is a PHC string with its parameters.
 * - Verified only, as imports bring them: plain `$2a$`, `$2b$` and `$2y$`, argon2i, scrypt, PBKDF2, and the scrypt of Firebase
 *   (`foreign.rule.ts` says how the notations of other systems become these). A good login renews all of them.
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

export type Pbkdf2Digest = 'sha1' | 'sha256' | 'sha512';

export type EncodedHash =
  | { readonly kind: 'bcrypt-sha256'; readonly cost: number; readonly salt: string; readonly digest: string }
  | { readonly kind: 'bcrypt'; readonly cost: number }
  | {
      readonly kind: 'argon2id' | 'argon2i';
      readonly memoryKib: number;
      readonly passes: number;
      readonly lanes: number;
    }
  | {
      readonly kind: 'scrypt' | 'firebase-scrypt';
      readonly logN: number;
      readonly blockSize: number;
      readonly lanes: number;
      /** Standard base64, as the digest. */
      readonly salt: string;
      readonly digest: string;
    }
  | {
      readonly kind: 'pbkdf2';
      readonly hash: Pbkdf2Digest;
      readonly iterations: number;
      readonly salt: string;
      readonly digest: string;
    };

const bcryptSha256 = /^\$bcrypt-sha256\$v=2,t=2b,r=([4-9]|[12]\d)\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})$/;
const plainBcrypt = /^\$2[aby]\$(0[4-9]|[123]\d)\$[./A-Za-z0-9]{53}$/;
const argon2 =
  /^\$(argon2id?)\$v=19\$m=([1-9]\d{0,6}),t=([1-9]\d{0,2}),p=([1-9]\d{0,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;
/** Salts and digests of 8 to 96 octets, in base64 without padding; a salt that somebody typed may be of any length. */
const scrypt =
  /^\$(scrypt|firebase-scrypt)\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{2,128})\$([A-Za-z0-9+/]{22,128})$/;
const pbkdf2 = /^\$pbkdf2-(sha1|sha256|sha512)\$i=(\d{1,9})\$([A-Za-z0-9+/]{2,128})\$([A-Za-z0-9+/]{22,128})$/;

/** A verification above these would take seconds of a core, or hundreds of megabytes. */
const bcryptCostMax = 16;
const argon2Max = { memoryKib: 262_144, passes: 16, lanes: 16, workKib: 1_048_576 } as const;
const scryptMax = { memoryKib: 262_144, lanes: 16, workKib: 1_048_576 } as const;
const pbkdf2Max = { iterations: 4_000_000, blocks: 6_000_000 } as const;
/** Below these an import is refused: such hashes can be searched at leisure. */
const importMin = { bcryptCost: 8, memoryKib: 4096, pbkdf2Iterations: 10_000 } as const;

/** `undefined` for unknown formats and for costs beyond the bounds. */
export function parseEncodedHash(encoded: string): EncodedHash | undefined {
  const parsed = readFormat(encoded);
  return parsed !== undefined && isAffordable(parsed) ? parsed : undefined;
}

export type ImportVerdict = 'fine' | 'unknown_format' | 'too_weak' | 'too_costly';

/** Whether an import may bring this hash. */
export function judgeImportedHash(encoded: string): ImportVerdict {
  const parsed = readFormat(encoded);
  if (parsed === undefined) return 'unknown_format';
  if (isWeak(parsed)) return 'too_weak';
  return isAffordable(parsed) ? 'fine' : 'too_costly';
}

function readFormat(encoded: string): EncodedHash | undefined {
  const keyed = bcryptSha256.exec(encoded);
  if (keyed !== null) {
    const [, cost = '', salt = '', digest = ''] = keyed;
    return { kind: 'bcrypt-sha256', cost: Number(cost), salt, digest };
  }
  const plain = plainBcrypt.exec(encoded);
  if (plain !== null) return { kind: 'bcrypt', cost: Number(plain[1]) };
  const phc = argon2.exec(encoded);
  if (phc !== null) {
    const [memoryKib = 0, passes = 0, lanes = 0] = phc.slice(2, 5).map(Number);
    // The library takes no other texts, and throws.
    if (memoryKib < 8 * lanes || !phc.slice(5).every(isCanonicalBase64)) return undefined;
    return { kind: phc[1] === 'argon2i' ? 'argon2i' : 'argon2id', memoryKib, passes, lanes };
  }
  return readScrypt(encoded) ?? readPbkdf2(encoded);
}

function readScrypt(encoded: string): EncodedHash | undefined {
  const read = scrypt.exec(encoded);
  if (read === null) return undefined;
  const [, name, logN = '', blockSize = '', lanes = '', salt = '', digest = ''] = read;
  const kind = name === 'scrypt' ? 'scrypt' : 'firebase-scrypt';
  const costs = { logN: Number(logN), blockSize: Number(blockSize), lanes: Number(lanes) };
  // RFC 7914 section 6: N is less than 2^(128 * r / 8).
  const isSound = costs.logN >= 1 && costs.lanes >= 1 && costs.logN < 16 * costs.blockSize;
  return isSound ? { kind, ...costs, salt, digest } : undefined;
}

function readPbkdf2(encoded: string): EncodedHash | undefined {
  const read = pbkdf2.exec(encoded);
  if (read === null) return undefined;
  const [, hash, iterations, salt = '', digest = ''] = read;
  return { kind: 'pbkdf2', hash: hash as Pbkdf2Digest, iterations: Number(iterations), salt, digest };
}

/** Without padding and with its spare bits zero: exactly what an encoder writes. */
const isCanonicalBase64 = (text: string): boolean =>
  Buffer.from(text, 'base64').toString('base64').replaceAll('=', '') === text;

const digestOctets: Readonly<Record<Pbkdf2Digest, number>> = { sha1: 20, sha256: 32, sha512: 64 };

/** What is derived comes in blocks as long as the digest, and each block takes all the iterations. */
const pbkdf2Blocks = (hash: Extract<EncodedHash, { readonly kind: 'pbkdf2' }>): number =>
  hash.iterations * Math.ceil(Buffer.byteLength(hash.digest, 'base64') / digestOctets[hash.hash]);

/** scrypt fills 128 octets for each block and each of its N steps. */
const scryptMemoryKib = (hash: { readonly logN: number; readonly blockSize: number }): number =>
  (2 ** hash.logN * hash.blockSize) / 8;

function isAffordable(hash: EncodedHash): boolean {
  switch (hash.kind) {
    case 'bcrypt-sha256':
    case 'bcrypt':
      return hash.cost <= bcryptCostMax;
    case 'argon2id':
    case 'argon2i':
      return (
        hash.memoryKib <= argon2Max.memoryKib &&
        hash.passes <= argon2Max.passes &&
        hash.lanes <= argon2Max.lanes &&
        hash.memoryKib * hash.passes <= argon2Max.workKib
      );
    case 'scrypt':
    case 'firebase-scrypt':
      return (
        scryptMemoryKib(hash) <= scryptMax.memoryKib &&
        hash.lanes <= scryptMax.lanes &&
        scryptMemoryKib(hash) * hash.lanes <= scryptMax.workKib
      );
    case 'pbkdf2':
      return hash.iterations <= pbkdf2Max.iterations && pbkdf2Blocks(hash) <= pbkdf2Max.blocks;
  }
}

function isWeak(hash: EncodedHash): boolean {
  switch (hash.kind) {
    case 'bcrypt-sha256':
    case 'bcrypt':
      return hash.cost < importMin.bcryptCost;
    case 'argon2id':
    case 'argon2i':
      return hash.memoryKib < importMin.memoryKib;
    case 'scrypt':
    case 'firebase-scrypt':
      return scryptMemoryKib(hash) < importMin.memoryKib;
    case 'pbkdf2':
      return hash.iterations < importMin.pbkdf2Iterations;
  }
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
