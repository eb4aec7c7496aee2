/**
 * Password hashes as other systems write them, turned into the forms of `encoding.rule.ts`.
 *
 * - Modular crypt and PHC strings: bcrypt, argon2id and argon2i, scrypt, our own. They stay as they are.
 * - Django: `pbkdf2_sha256$…`, `pbkdf2_sha1$…`, `scrypt$…`, `argon2$…`, `bcrypt$…`; an unusable password (`!…`) is none.
 * - Keycloak: a credential with `secretData` and `credentialData`, PBKDF2 or argon2, as its exports have it.
 * - Firebase: hash and salt of an account, with the parameters of its project. What is kept is the hash with the project's signer
 *   key taken out of it (the key is the text that it encrypts with a stream cipher), so the key is stored nowhere.
 */
import { type ImportVerdict, judgeImportedHash } from './encoding.rule.ts';

export interface FirebaseParameters {
  /** `base64_signer_key` of the project. */
  readonly signerKey: Uint8Array;
  readonly saltSeparator: Uint8Array;
  readonly rounds: number;
  readonly memoryCost: number;
}

export type ForeignHash =
  | { readonly kind: 'hash'; readonly encoded: string }
  /** The account has no password and cannot have had one. */
  | { readonly kind: 'none' }
  | { readonly kind: 'refused'; readonly problem: Exclude<ImportVerdict, 'fine'> };

const hashLengthMax = 4_096;
const unknown = { kind: 'refused', problem: 'unknown_format' } as const;

/** `given` is a text, or what a JSON text says. `salt` stands beside Firebase's hashes only. */
export function readForeignHash(
  given: unknown,
  salt: string | undefined,
  firebase: FirebaseParameters | undefined,
): ForeignHash {
  if (salt !== undefined) return judged(firebaseHash(given, salt, firebase));
  if (typeof given === 'object' && given !== null) return judged(keycloakHash(given));
  if (typeof given !== 'string' || given.length > hashLengthMax) return unknown;
  if (given.startsWith('{')) return judged(keycloakHash(parseJson(given)));
  if (given.startsWith('!')) return { kind: 'none' };
  return judged(given.startsWith('$') ? given : djangoHash(given));
}

function judged(encoded: string | undefined): ForeignHash {
  if (encoded === undefined) return unknown;
  const verdict = judgeImportedHash(encoded);
  return verdict === 'fine' ? { kind: 'hash', encoded } : { kind: 'refused', problem: verdict };
}

function djangoHash(given: string): string | undefined {
  const parts = given.split('$');
  const [algorithm, ...rest] = parts;
  switch (algorithm) {
    case 'pbkdf2_sha256':
    case 'pbkdf2_sha1': {
      const [iterations = '', salt = '', digest = ''] = rest;
      const octets = base64Octets(digest);
      if (rest.length !== 3 || octets === undefined || !isNumber(iterations)) return undefined;
      return `$pbkdf2-${algorithm.slice(7)}$i=${iterations}$${phc(Buffer.from(salt))}$${phc(octets)}`;
    }
    case 'scrypt': {
      const [n = '', salt = '', blockSize = '', lanes = '', digest = ''] = rest;
      const octets = base64Octets(digest);
      const logN = Math.log2(Number(n));
      if (rest.length !== 5 || octets === undefined || !Number.isInteger(logN)) return undefined;
      return `$scrypt$ln=${logN},r=${blockSize},p=${lanes}$${phc(Buffer.from(salt))}$${phc(octets)}`;
    }
    case 'argon2':
      return given.slice('argon2'.length);
    case 'bcrypt':
      // `bcrypt$` stands before a whole modular crypt string.
      return given.slice('bcrypt$'.length);
    default:
      return undefined;
  }
}

/** Digests of the names that Keycloak gives to PBKDF2. */
const keycloakDigests: Readonly<Record<string, string>> = {
  pbkdf2: 'sha1',
  'pbkdf2-sha256': 'sha256',
  'pbkdf2-sha512': 'sha512',
};

function keycloakHash(given: unknown): string | undefined {
  const secret = member(given, 'secretData');
  const credential = member(given, 'credentialData');
  const salt = base64Octets(member(secret, 'salt'));
  const digest = base64Octets(member(secret, 'value'));
  const iterations = member(credential, 'hashIterations');
  const algorithm = member(credential, 'algorithm');
  if (salt === undefined || digest === undefined || !isNumber(iterations) || typeof algorithm !== 'string')
    return undefined;
  if (algorithm === 'argon2') {
    const more = member(credential, 'additionalParameters');
    const [type, version, memory, lanes] = ['type', 'version', 'memory', 'parallelism'].map((name) =>
      first(more, name),
    );
    if (version !== '1.3') return undefined;
    return `$argon2${type}$v=19$m=${memory},t=${iterations},p=${lanes}$${phc(salt)}$${phc(digest)}`;
  }
  const hash = Object.hasOwn(keycloakDigests, algorithm) ? keycloakDigests[algorithm] : undefined;
  return hash === undefined ? undefined : `$pbkdf2-${hash}$i=${iterations}$${phc(salt)}$${phc(digest)}`;
}

function firebaseHash(given: unknown, salt: string, parameters: FirebaseParameters | undefined): string | undefined {
  const hash = base64Octets(given);
  const saltOctets = base64Octets(salt);
  if (parameters === undefined || hash === undefined || saltOctets === undefined) return undefined;
  const { signerKey, saltSeparator, rounds, memoryCost } = parameters;
  if (hash.length !== signerKey.length) return undefined;
  const stream = hash.map((octet, at) => octet ^ (signerKey[at] ?? 0));
  const whole = Buffer.concat([saltOctets, saltSeparator]);
  return `$firebase-scrypt$ln=${memoryCost},r=${rounds},p=1$${phc(whole)}$${phc(stream)}`;
}

/** A member of an object, or of one written as JSON text. */
function member(of: unknown, name: string): unknown {
  const object = typeof of === 'string' ? parseJson(of) : of;
  if (typeof object !== 'object' || object === null || !Object.hasOwn(object, name)) return undefined;
  return (object as Readonly<Record<string, unknown>>)[name];
}

/** Keycloak's further parameters are lists of one text. */
function first(of: unknown, name: string): unknown {
  const list = member(of, name);
  return Array.isArray(list) ? list[0] : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Standard or URL-safe, padded or not. */
function base64Octets(text: unknown): Uint8Array | undefined {
  if (typeof text !== 'string' || text.length > hashLengthMax || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(text))
    return undefined;
  return Buffer.from(text.replaceAll('-', '+').replaceAll('_', '/'), 'base64');
}

/** Standard base64 without padding, as PHC strings have it. */
const phc = (octets: Uint8Array): string => Buffer.from(octets).toString('base64').replaceAll('=', '');

const isNumber = (value: unknown): boolean => /^\d{1,9}$/.test(String(value));
