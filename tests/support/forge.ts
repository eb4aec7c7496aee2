/**
 * The token forge: makes access tokens in which only the property under test is wrong. It signs with a known key that the
 * service under test has as active, and shares no code with the service.
 */
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign as signBytes,
} from 'node:crypto';
import type { AccessTokenClaims, SigningAlgorithm } from '@auth-service/protocol';

export interface Forge {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly issuer: string;
  readonly audience: string;
  readonly nowSeconds: () => number;
  header(change?: Change): Record<string, unknown>;
  claims(change?: Change): AccessTokenClaims;
  /** A token that is right but for the changes. A member changed to `absent` is left out. */
  token(change?: { readonly header?: Change; readonly claims?: Change }): string;
  /** Signs any two texts: for JSON that no serialiser writes. */
  tokenOf(headerText: string, claimsText: string): string;
}

export type Change = Readonly<Record<string, unknown>>;
export const absent = Symbol('absent');

export function createForge(options: {
  readonly algorithm?: SigningAlgorithm;
  readonly kid?: string;
  readonly privateKey?: KeyObject;
  readonly issuer: string;
  readonly audience: string;
  readonly nowSeconds?: () => number;
  /** Claims of a live token, for a service that looks its subject up. */
  readonly base?: Partial<AccessTokenClaims>;
}): Forge {
  const algorithm = options.algorithm ?? 'EdDSA';
  const privateKey = options.privateKey ?? makePrivateKey(algorithm);
  const kid = options.kid ?? `forged-${randomUUID()}`;
  const nowSeconds = options.nowSeconds ?? (() => Math.floor(Date.now() / 1_000));
  const { issuer, audience } = options;

  const header = (change: Change = {}) => changed({ alg: algorithm, typ: 'at+jwt', kid }, change);
  const claims = (change: Change = {}) => {
    const now = nowSeconds();
    const right: AccessTokenClaims = {
      iss: issuer,
      aud: audience,
      sub: randomUUID(),
      client_id: 'auth-service',
      sid: randomUUID(),
      jti: randomUUID(),
      iat: now,
      exp: now + 3_600,
      auth_time: now,
      amr: ['pwd'],
      acr: 'aal1',
      roles: ['user'],
      permissions: [],
      epoch: 1,
    };
    return changed({ ...right, ...options.base }, change) as unknown as AccessTokenClaims;
  };
  const tokenOf = (headerText: string, claimsText: string): string => {
    const signed = `${base64url(headerText)}.${base64url(claimsText)}`;
    return `${signed}.${signAs(algorithm, privateKey, signed)}`;
  };
  return {
    kid,
    algorithm,
    privateKey,
    publicKey: createPublicKey(privateKey),
    issuer,
    audience,
    nowSeconds,
    header,
    claims,
    token: (change = {}) => tokenOf(JSON.stringify(header(change.header)), JSON.stringify(claims(change.claims))),
    tokenOf,
  };
}

function changed(right: object, change: Change): Record<string, unknown> {
  return Object.fromEntries(Object.entries({ ...right, ...change }).filter(([, value]) => value !== absent));
}

export const base64url = (value: string | Uint8Array): string => Buffer.from(value).toString('base64url');

/** A signature over the text under any algorithm a forger may try; base64url. */
export function signAs(algorithm: string, key: KeyObject | string | Buffer, text: string): string {
  const data = Buffer.from(text);
  const bits = algorithm.slice(2);
  if (algorithm.startsWith('HS')) return createHmac(`sha${bits}`, key).update(data).digest('base64url');
  if (typeof key === 'string' || Buffer.isBuffer(key)) throw new TypeError('a shared secret signs with HMAC alone');
  switch (algorithm.slice(0, 2)) {
    case 'RS':
      return signBytes(`sha${bits}`, data, key).toString('base64url');
    case 'PS':
      return signBytes(`sha${bits}`, data, { key, padding: 6, saltLength: Number(bits) / 8 }).toString('base64url');
    case 'ES': {
      const digest = algorithm === 'ES256K' ? 'sha256' : `sha${bits}`;
      return signBytes(digest, data, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
    }
    default:
      return signBytes(null, data, key).toString('base64url');
  }
}

export function makePrivateKey(algorithm: string): KeyObject {
  switch (algorithm) {
    case 'EdDSA':
      return generateKeyPairSync('ed25519').privateKey;
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    case 'ES384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    case 'ES256K':
      return generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey;
    default:
      return generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  }
}
