/**
 * The compact form of a signed token (RFC 7515 section 7.1), read strictly: three parts, the base64url alphabet
 * alone, no padding, no spare bits set, so that one token has one spelling. Signing and checking are synchronous: they never
 * wait behind password hashes in the thread pool.
 */
import { type KeyObject, sign, verify } from 'node:crypto';
import type { SigningAlgorithm } from '@auth-service/protocol';
import { type JsonObject, readJsonObject } from './json.ts';

export interface CompactForm {
  /** The whole token. */
  readonly bytes: Buffer;
  /** As it stands in the token. */
  readonly headerText: string;
  readonly payload: Buffer;
  readonly signature: Buffer;
  /** What is signed: header, dot, payload, as they stand in the token. */
  readonly signed: Buffer;
}

const shape = /^[\w-]+\.[\w-]*\.[\w-]+$/;
/** Last characters whose unused bits are zero, by what is left over of four: two characters carry 8 of 12 bits, three 16 of 18. */
const endsOfTwo = 'AQgw';
const endsOfThree = 'AEIMQUYcgkosw048';

/** The parts of a token in canonical form; `undefined` for anything else. */
export function readCompact(token: string): CompactForm | undefined {
  if (!shape.test(token)) return undefined;
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  if (
    !isCanonical(token, 0, first) ||
    !isCanonical(token, first + 1, second) ||
    !isCanonical(token, second + 1, token.length)
  ) {
    return undefined;
  }
  const bytes = Buffer.from(token, 'latin1');
  return {
    bytes,
    headerText: token.slice(0, first),
    payload: Buffer.from(token.slice(first + 1, second), 'base64url'),
    signature: Buffer.from(token.slice(second + 1), 'base64url'),
    signed: bytes.subarray(0, second),
  };
}

/** The header as an object; `undefined` when it is none, or carries what an access token never does. */
export function readHeader({ headerText }: CompactForm): JsonObject | undefined {
  const header = readJsonObject(Buffer.from(headerText, 'base64url'));
  return header === undefined || hasRefusedParameter(header) ? undefined : header;
}

function isCanonical(token: string, start: number, end: number): boolean {
  switch ((end - start) % 4) {
    case 0:
      return true;
    case 2:
      return endsOfTwo.includes(token.charAt(end - 1));
    case 3:
      return endsOfThree.includes(token.charAt(end - 1));
    default:
      return false;
  }
}

/** Whether `signature` is that of `signed` under this key and this algorithm. */
export function isSignedBy(form: CompactForm, publicKey: KeyObject, algorithm: SigningAlgorithm): boolean {
  const { signed, signature } = form;
  switch (algorithm) {
    case 'EdDSA':
      return signature.length === 64 && verify(null, signed, publicKey, signature);
    case 'ES256':
      return (
        signature.length === 64 && verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
      );
    case 'RS256':
      return verify('RSA-SHA256', signed, publicKey, signature);
  }
}

/** A token's header and payload, when its form is canonical, its header names this algorithm and the signature is right. */
export function verifyCompact(
  token: string,
  publicKey: KeyObject,
  algorithm: SigningAlgorithm,
): { readonly header: JsonObject; readonly payload: Buffer } | undefined {
  const form = readCompact(token);
  const header = form && readHeader(form);
  if (form === undefined || header === undefined || header['alg'] !== algorithm) return undefined;
  return isSignedBy(form, publicKey, algorithm) ? { header, payload: form.payload } : undefined;
}

/**
 * Header parameters that change what a token means, or that bring key material along. A token that carries one is not an
 * access token of ours, whoever signed it.
 */
const refusedParameters = ['crit', 'b64', 'zip', 'enc', 'cty', 'jwk', 'jku', 'x5u', 'x5c', 'x5t', 'x5t#S256'];

const hasRefusedParameter = (header: JsonObject): boolean =>
  refusedParameters.some((name) => Object.hasOwn(header, name));

/** A signed token in compact form. `claims` are serialised as they stand. */
export function signCompact(
  header: Readonly<Record<string, unknown>>,
  claims: object,
  privateKey: KeyObject,
  algorithm: SigningAlgorithm,
): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${signBytes(Buffer.from(signed, 'latin1'), privateKey, algorithm).toString('base64url')}`;
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function signBytes(data: Buffer, privateKey: KeyObject, algorithm: SigningAlgorithm): Buffer {
  switch (algorithm) {
    case 'EdDSA':
      return sign(null, data, privateKey);
    case 'ES256':
      return sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    case 'RS256':
      return sign('RSA-SHA256', data, privateKey);
  }
}
