/**
 * The ceremonies of passkeys in a browser: options from the service, the browser's own dialogue, its word back to the service.
 *
 * What the browser refuses (the user cancelled, there is no authenticator) rejects with the browser's `DOMException`; what the
 * service refuses, with an `AuthError`. Browsers without the JSON helpers of WebAuthn Level 3 are helped here.
 */
import type {
  AssertionResponse,
  AttestationResponse,
  CreationOptions,
  Passkey,
  RequestOptions,
  User,
} from '@auth-service/protocol';
import type { AuthClient, LoginResult } from './client.ts';
import { AuthError } from './errors.ts';

/** How a ceremony is ended, and with which browser's dialogue. */
export interface CeremonyOptions {
  readonly signal?: AbortSignal;
  /** The browser's `navigator.credentials`, where it is somebody else's. */
  readonly credentials?: Credentials;
}

/** What is used of `CredentialsContainer`. */
export interface Credentials {
  create(options: object): Promise<unknown>;
  get(options: object): Promise<unknown>;
}

type Using = Pick<AuthClient, 'raw'>;

/** Whether this browser has WebAuthn at all. */
export const canUsePasskeys = (): boolean => platform().PublicKeyCredential !== undefined;

/** Whether passkeys can be offered in the autofill of a form, for `loginWithPasskey({ mediation: 'conditional' })`. */
export async function canAutofillPasskeys(): Promise<boolean> {
  return (await platform().PublicKeyCredential?.isConditionalMediationAvailable?.()) === true;
}

/** Adds a passkey to the account that is signed in; asks for a fresh authentication. */
export async function addPasskey(
  { raw }: Using,
  { name, ...ceremony }: CeremonyOptions & { readonly name?: string } = {},
): Promise<Passkey> {
  const { signal } = ceremony;
  const asked = await raw.call({ method: 'POST', path: '/webauthn/registration/options', signal });
  const response = await create((asked as { options: CreationOptions }).options, ceremony);
  const body = { response, ...(name === undefined ? {} : { name }) };
  const answer = await raw.call({ method: 'POST', path: '/webauthn/registration/verify', body, signal });
  return (answer as { credential: Passkey }).credential;
}

/** Signs in without a user name: the authenticator knows whose passkey it holds. */
export async function loginWithPasskey(
  { raw }: Using,
  { mediation, ...ceremony }: CeremonyOptions & { readonly mediation?: 'conditional' | 'optional' } = {},
): Promise<User> {
  const { signal } = ceremony;
  const asked = await raw.send({ method: 'POST', path: '/webauthn/login/options', signal });
  const response = await get((asked as { options: RequestOptions }).options, ceremony, mediation);
  return userOf(
    await raw.signIn(raw.send({ method: 'POST', path: '/webauthn/login/verify', body: { response }, signal })),
  );
}

/** The second step of a login whose `methods` name `webauthn`. */
export async function verifyMfaWithPasskey(
  { raw }: Using,
  { mfaToken, ...ceremony }: CeremonyOptions & { readonly mfaToken?: string } = {},
): Promise<User> {
  const token = mfaToken ?? raw.pendingMfa();
  if (token === undefined) throw new AuthError('mfa_token_invalid', 'there is no login that waits for a second factor');
  const { signal } = ceremony;
  const asked = await raw.send({ method: 'POST', path: '/mfa/webauthn/options', body: { mfa_token: token }, signal });
  const webauthn = await get((asked as { options: RequestOptions }).options, ceremony);
  const body = { mfa_token: token, webauthn };
  return userOf(await raw.signIn(raw.send({ method: 'POST', path: '/mfa/verify', body, signal })));
}

/** Proves again who is there, for calls that answer `reauthentication_required`. */
export async function reauthenticateWithPasskey({ raw }: Using, ceremony: CeremonyOptions = {}): Promise<User> {
  const { signal } = ceremony;
  const asked = await raw.call({ method: 'POST', path: '/reauthenticate/options', signal });
  const webauthn = await get((asked as { options: RequestOptions }).options, ceremony);
  return userOf(await raw.signIn(raw.call({ method: 'POST', path: '/reauthenticate', body: { webauthn }, signal })));
}

function userOf(result: LoginResult): User {
  if (result.kind === 'signed_in') return result.user;
  throw new AuthError('mfa_required', 'the account wants a second factor beside this passkey', { status: 401 });
}

/** What is used of the browser, as far as it has it. */
interface Platform {
  readonly navigator?: { readonly credentials?: Credentials };
  readonly PublicKeyCredential?: {
    parseCreationOptionsFromJSON?(options: object): object;
    parseRequestOptionsFromJSON?(options: object): object;
    isConditionalMediationAvailable?(): Promise<boolean>;
  };
}

interface Descriptor {
  readonly id: string;
}

interface NativeCredential {
  readonly id: string;
  readonly type: string;
  readonly response: {
    readonly clientDataJSON: ArrayBuffer;
    readonly attestationObject?: ArrayBuffer;
    readonly authenticatorData?: ArrayBuffer;
    readonly signature?: ArrayBuffer;
    readonly userHandle?: ArrayBuffer | null;
    getTransports?(): readonly string[];
  };
  readonly authenticatorAttachment?: string | null;
  getClientExtensionResults?(): object;
  toJSON?(): unknown;
}

const platform = (): Platform => globalThis as Platform;

function containerOf({ credentials }: CeremonyOptions): Credentials {
  const container = credentials ?? platform().navigator?.credentials;
  if (container === undefined) throw new TypeError('this browser, or this page, has no passkeys');
  return container;
}

async function create(options: CreationOptions, ceremony: CeremonyOptions): Promise<AttestationResponse> {
  const publicKey = platform().PublicKeyCredential?.parseCreationOptionsFromJSON?.(options) ?? {
    ...options,
    challenge: bytesOf(options.challenge),
    user: { ...options.user, id: bytesOf(options.user.id) },
    excludeCredentials: options.excludeCredentials.map(withBytes),
  };
  const made = await containerOf(ceremony).create({ publicKey, ...signalOf(ceremony) });
  return jsonOf(made) as AttestationResponse;
}

async function get(options: RequestOptions, ceremony: CeremonyOptions, mediation?: string): Promise<AssertionResponse> {
  const publicKey = platform().PublicKeyCredential?.parseRequestOptionsFromJSON?.(options) ?? {
    ...options,
    challenge: bytesOf(options.challenge),
    allowCredentials: options.allowCredentials.map(withBytes),
  };
  const mediated = mediation === undefined ? {} : { mediation };
  const found = await containerOf(ceremony).get({ publicKey, ...mediated, ...signalOf(ceremony) });
  return jsonOf(found) as AssertionResponse;
}

const signalOf = ({ signal }: CeremonyOptions): object => (signal === undefined ? {} : { signal });

const withBytes = (descriptor: Descriptor): object => ({ ...descriptor, id: bytesOf(descriptor.id) });

/** WebAuthn Level 3, section 5.1: the JSON forms of a credential. Some password managers lack `toJSON`, or break it. */
function jsonOf(given: unknown): unknown {
  if (typeof given !== 'object' || given === null) throw new TypeError('the browser gave no credential');
  const credential = given as NativeCredential;
  try {
    const json = credential.toJSON?.();
    if (json !== undefined) return json;
  } catch {
    // Read by hand below.
  }
  const { response } = credential;
  const bytes: Record<string, string> = {};
  for (const name of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle'] as const) {
    const value = response[name];
    if (value !== undefined && value !== null) bytes[name] = textOf(value);
  }
  return {
    id: credential.id,
    rawId: credential.id,
    type: credential.type,
    response: { ...bytes, ...(response.getTransports === undefined ? {} : { transports: response.getTransports() }) },
    clientExtensionResults: credential.getClientExtensionResults?.() ?? {},
  };
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function textOf(buffer: ArrayBuffer): string {
  const text = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
