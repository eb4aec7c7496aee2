/**
 * The cryptography of a ceremony, by a maintained library that is loaded when the first ceremony ends: it takes a quarter of
 * a second, which no start and no service without passkeys should pay.
 *
 * Whatever was sent, the answer is a value: what the library throws is a ceremony that failed. It reaches no network: no
 * attestation is asked for, and one that carries certificates is refused before anything looks at them.
 */
import type { AssertionResponse, AttestationResponse } from '@auth-service/protocol';
import { isShallowAuthenticatorData, isShallowCbor } from './cbor.rule.ts';
import { algorithms } from './ceremony.rule.ts';

export interface RelyingParty {
  /** The host name that credentials are bound to. */
  readonly id: string;
  readonly origin: string;
}

export interface NewCredential {
  readonly credentialId: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly signCount: number;
  readonly backupEligible: boolean;
  readonly backedUp: boolean;
  readonly aaguid: string;
}

export interface VerifiedAssertion {
  readonly signCount: number;
  readonly backupEligible: boolean;
  readonly backedUp: boolean;
}

type Library = typeof import('@simplewebauthn/server') & {
  readonly helpers: typeof import('@simplewebauthn/server/helpers');
};

let library: Promise<Library> | undefined;

/** Loaded once; a load that failed is tried again by whoever comes next. */
function load(): Promise<Library> {
  library ??= Promise.all([import('@simplewebauthn/server'), import('@simplewebauthn/server/helpers')])
    .then(([server, helpers]) => ({ ...server, helpers }))
    .catch((cause: unknown) => {
      library = undefined;
      throw new Error('the WebAuthn library could not be loaded', { cause });
    });
  return library;
}

/** `undefined` for anything that is not a registration by this relying party's rules. */
export async function verifyAttestation(
  party: RelyingParty,
  challenge: string,
  response: AttestationResponse,
): Promise<NewCredential | undefined> {
  const { verifyRegistrationResponse, helpers } = await load();
  try {
    if (!isWithoutCertificates(helpers, response.response.attestationObject)) return undefined;
    const { verified, registrationInfo: info } = await verifyRegistrationResponse({
      response: { ...response, type: 'public-key', clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserPresence: true,
      requireUserVerification: true,
      supportedAlgorithmIDs: [...algorithms],
    });
    if (!verified || info.credential.id !== response.id) return undefined;
    return {
      credentialId: Buffer.from(info.credential.id, 'base64url'),
      publicKey: info.credential.publicKey,
      signCount: info.credential.counter,
      backupEligible: info.credentialDeviceType === 'multiDevice',
      backedUp: info.credentialBackedUp,
      aaguid: info.aaguid,
    };
  } catch {
    return undefined;
  }
}

/** Neither the counter nor whom the authenticator named is judged here: they mean something only when the signature is right. */
export async function verifyAssertion(
  party: RelyingParty,
  challenge: string,
  response: AssertionResponse,
  credential: { readonly publicKey: Uint8Array },
): Promise<VerifiedAssertion | undefined> {
  const { verifyAuthenticationResponse } = await load();
  const { userHandle: _told, ...signed } = response.response;
  if (!isShallowAuthenticatorData(Buffer.from(signed.authenticatorData, 'base64url'))) return undefined;
  try {
    const { verified, authenticationInfo: info } = await verifyAuthenticationResponse({
      response: { ...response, response: signed, type: 'public-key', clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: true,
      credential: { id: response.id, publicKey: new Uint8Array(credential.publicKey), counter: 0 },
    });
    if (!verified) return undefined;
    return {
      signCount: info.newCounter,
      backupEligible: info.credentialDeviceType === 'multiDevice',
      backedUp: info.credentialBackedUp,
    };
  } catch {
    return undefined;
  }
}

/**
 * One CBOR value, shallow, and nothing after it, with no attestation or one that the credential's own key signed. Others name
 * certificates, for whose revocation lists the library would ask whatever host they tell.
 */
function isWithoutCertificates(helpers: Library['helpers'], attestationObject: string): boolean {
  const bytes = new Uint8Array(Buffer.from(attestationObject, 'base64url'));
  if (!isShallowCbor(bytes)) return false;
  const object = helpers.decodeAttestationObject(bytes);
  if (helpers.isoCBOR.encode(object as never).length !== bytes.length) return false;
  if (!isShallowAuthenticatorData(object.get('authData'))) return false;
  const format = object.get('fmt');
  return format === 'none' || (format === 'packed' && object.get('attStmt').get('x5c') === undefined);
}
