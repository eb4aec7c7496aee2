/**
 * A WebAuthn authenticator and its browser in software. It does what the standard says, or exactly one thing wrong: each part
 * of a ceremony can be changed before it is signed, or after.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';

export type Algorithm = -7 | -8 | -257 | -35;

/** What is CBOR here: a list of pairs is a map. */
export type Cbor =
  | number
  | string
  | Uint8Array
  | readonly (readonly [number | string, Cbor])[]
  | { readonly items: readonly Cbor[] };

export function encodeCbor(value: Cbor): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if ('items' in value) return Buffer.concat([head(4, value.items.length), ...value.items.map(encodeCbor)]);
  return Buffer.concat([head(5, value.length), ...value.flatMap(([key, of]) => [encodeCbor(key), encodeCbor(of)])]);
}

function head(major: number, length: number): Buffer {
  const first = major << 5;
  if (length < 24) return Buffer.from([first | length]);
  if (length < 0x100) return Buffer.from([first | 24, length]);
  return Buffer.from([first | 25, length >> 8, length & 0xff]);
}

export const flag = { userPresent: 1, userVerified: 4, backupEligible: 8, backedUp: 16, attested: 64, extended: 128 };

/** What the client says of a ceremony; the tests put anything into it. */
export type ClientData = Readonly<Record<string, unknown>>;

export interface Change {
  /** Members of the client data; `undefined` takes one away. */
  readonly clientData?: ClientData;
  readonly rpId?: string;
  /** In place of user present and verified, and what the credential has. */
  readonly flags?: number;
  readonly counter?: number;
  readonly algorithm?: Algorithm;
  readonly userHandle?: string | null;
  /** The authenticator data as it is signed. */
  readonly authenticatorData?: (data: Buffer) => Buffer;
  readonly attestationObject?: (data: Buffer) => Buffer;
  /** Parts of the attestation object, before they are encoded. */
  readonly format?: string;
  readonly statement?: Cbor | ((toSign: Buffer, key: KeyObject) => Cbor);
  /** The credential that is sent, after all was signed. */
  readonly sent?: (credential: SentCredential) => unknown;
}

export interface SentCredential {
  readonly id: string;
  readonly rawId: string;
  readonly type: string;
  readonly response: Readonly<Record<string, unknown>>;
  readonly clientExtensionResults: object;
  readonly authenticatorAttachment: string;
}

export interface CreationOptions {
  readonly challenge: string;
  readonly rp: { readonly id: string; readonly name: string };
  readonly user: { readonly id: string; readonly name: string; readonly displayName: string };
  readonly pubKeyCredParams: readonly { readonly alg: number; readonly type: string }[];
  readonly excludeCredentials: readonly { readonly id: string }[];
  readonly authenticatorSelection: Readonly<Record<string, unknown>>;
  readonly attestation: string;
  readonly timeout: number;
}

export interface RequestOptions {
  readonly challenge: string;
  readonly rpId: string;
  readonly allowCredentials: readonly { readonly id: string }[];
  readonly userVerification: string;
  readonly timeout: number;
}

export interface Authenticator {
  /** Makes a credential, which replaces the one before it. */
  create(options: CreationOptions, change?: Change): unknown;
  get(options: RequestOptions, change?: Change): unknown;
  readonly credentialId: string;
  readonly userHandle: string;
  counter: number;
  /** A copy of the credential as it is now: what a thief has. */
  clone(): Authenticator;
}

interface State {
  id: Buffer;
  userHandle: string;
  key: KeyObject;
  algorithm: Algorithm;
  counter: number;
}

export interface AuthenticatorOptions {
  readonly origin: string;
  readonly algorithm?: Algorithm;
  /** A passkey that its maker keeps a copy of. */
  readonly synced?: boolean;
  /** Counts its signatures; one that does not says 0. */
  readonly counts?: boolean;
}

const sha256 = (data: string | Uint8Array): Buffer => createHash('sha256').update(data).digest();
const encoded = (data: Uint8Array): string => Buffer.from(data).toString('base64url');

export function createAuthenticator(options: AuthenticatorOptions, from?: State): Authenticator {
  const { origin, synced = false, counts = true } = options;
  const state: State = from ?? {
    id: Buffer.alloc(0),
    userHandle: '',
    key: makeKey(-7),
    algorithm: -7,
    counter: 0,
  };
  const usual = flag.userPresent | flag.userVerified | (synced ? flag.backupEligible | flag.backedUp : 0);

  const clientDataOf = (type: string, challenge: string, change: Change): Buffer =>
    Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false, ...change.clientData }));

  function dataOf(rpId: string, flags: number, counter: number, attested: Buffer): Buffer {
    const fixed = Buffer.alloc(5);
    fixed.writeUInt8(flags, 0);
    fixed.writeUInt32BE(counter, 1);
    return Buffer.concat([sha256(rpId), fixed, attested]);
  }

  const statementOf = ({ statement = [] }: Change, toSign: Buffer): Cbor =>
    typeof statement === 'function' ? statement(toSign, state.key) : statement;

  const credentialOf = (response: SentCredential['response'], change: Change): unknown => {
    const id = encoded(state.id);
    const credential = {
      id,
      rawId: id,
      type: 'public-key',
      response,
      clientExtensionResults: {},
      authenticatorAttachment: 'platform',
    };
    return change.sent === undefined ? credential : change.sent(credential);
  };

  return {
    create(wanted, change = {}) {
      state.algorithm = change.algorithm ?? options.algorithm ?? -7;
      state.key = makeKey(state.algorithm);
      state.id = randomBytes(32);
      state.userHandle = wanted.user.id;
      state.counter = counts ? 1 : 0;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(state.id.length);
      const attested = Buffer.concat([Buffer.alloc(16), length, state.id, encodeCbor(coseKey(state))]);
      const flags = change.flags ?? usual;
      const plain = dataOf(
        change.rpId ?? wanted.rp.id,
        flags | flag.attested,
        change.counter ?? state.counter,
        attested,
      );
      const data = change.authenticatorData?.(plain) ?? plain;
      const clientData = clientDataOf('webauthn.create', wanted.challenge, change);
      const object = encodeCbor([
        ['fmt', change.format ?? 'none'],
        ['attStmt', statementOf(change, Buffer.concat([data, sha256(clientData)]))],
        ['authData', data],
      ]);
      return credentialOf(
        {
          clientDataJSON: encoded(clientData),
          attestationObject: encoded(change.attestationObject?.(object) ?? object),
          transports: ['internal', 'hybrid'],
        },
        change,
      );
    },

    get(wanted, change = {}) {
      if (counts) state.counter += 1;
      const flags = change.flags ?? usual;
      const plain = dataOf(change.rpId ?? wanted.rpId, flags, change.counter ?? state.counter, Buffer.alloc(0));
      const data = change.authenticatorData?.(plain) ?? plain;
      const clientData = clientDataOf('webauthn.get', wanted.challenge, change);
      const signature = signatureOf(state, Buffer.concat([data, sha256(clientData)]));
      const handle = change.userHandle === undefined ? state.userHandle : change.userHandle;
      return credentialOf(
        {
          clientDataJSON: encoded(clientData),
          authenticatorData: encoded(data),
          signature: encoded(signature),
          ...(handle === null ? {} : { userHandle: handle }),
        },
        change,
      );
    },

    get credentialId() {
      return encoded(state.id);
    },
    get userHandle() {
      return state.userHandle;
    },
    get counter() {
      return state.counter;
    },
    set counter(value) {
      state.counter = value;
    },
    clone: () => createAuthenticator(options, { ...state }),
  };
}

function makeKey(algorithm: Algorithm): KeyObject {
  switch (algorithm) {
    case -7:
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    case -35:
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    case -8:
      return generateKeyPairSync('ed25519').privateKey;
    case -257:
      return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  }
}

function signatureOf({ key, algorithm }: State, data: Buffer): Buffer {
  if (algorithm === -8) return sign(null, data, key);
  return sign(algorithm === -35 ? 'sha384' : 'sha256', data, key);
}

/** RFC 9053. */
function coseKey({ key, algorithm }: State): Cbor {
  const jwk: JsonWebKey = createPrivateKey(key.export({ format: 'pem', type: 'pkcs8' })).export({ format: 'jwk' });
  const bytes = (member: unknown): Buffer => Buffer.from(String(member), 'base64url');
  switch (algorithm) {
    case -8:
      return [
        [1, 1],
        [3, algorithm],
        [-1, 6],
        [-2, bytes(jwk.x)],
      ];
    case -257:
      return [
        [1, 3],
        [3, algorithm],
        [-1, bytes(jwk.n)],
        [-2, bytes(jwk.e)],
      ];
    default:
      return [
        [1, 2],
        [3, algorithm],
        [-1, algorithm === -7 ? 1 : 2],
        [-2, bytes(jwk.x)],
        [-3, bytes(jwk.y)],
      ];
  }
}
