/**
 * Codes of authenticator apps (RFC 6238) as those speak it: SHA-1, 6 digits, 30 seconds. A code is right for its own step and
 * the one before and after, by this service's clock.
 */
import { Secret, TOTP } from 'otpauth';

export interface TotpLabel {
  /** What the app shows above the account: the host of this service. */
  readonly issuer: string;
  readonly account: string;
}

const algorithm = 'SHA1';
const digits = 6;
const period = 30;
const window = 1;
/** RFC 4226 section 4 asks for 160 bits. */
export const totpSecretBytes = 20;

const totpOf = (secret: Uint8Array, label: TotpLabel): TOTP =>
  new TOTP({
    issuer: label.issuer,
    label: label.account,
    secret: new Secret({ buffer: Uint8Array.from(secret).buffer }),
    algorithm,
    digits,
    period,
  });

/** What is shown once, to be scanned or typed. */
export function describeTotp(secret: Uint8Array, label: TotpLabel): { readonly secret: string; readonly uri: string } {
  const totp = totpOf(secret, label);
  return { secret: totp.secret.base32, uri: totp.toString() };
}

/** The time step of a right code; spaces in it are the app's. */
export function stepOf(secret: Uint8Array, code: string, nowMs: number): number | undefined {
  const token = code.replaceAll(' ', '');
  if (!/^[0-9]{6}$/.test(token)) return undefined;
  const delta = totpOf(secret, { issuer: '', account: '' }).validate({ token, timestamp: nowMs, window });
  return delta === null ? undefined : Math.floor(nowMs / 1_000 / period) + delta;
}
