/**
 * The root secret and the signing keys.
 *
 * - Private keys leave the process only sealed (AES-256-GCM under a key derived from the root secret).
 * - A key is published for two JWKS cache lives before it signs, and verifies until its last token has expired.
 * - Without the database a node goes on signing and verifying with the keys that it holds.
 */
export { type Cursors, createCursors } from './cursors.ts';
export { updateTokenTtlMax } from './keys.sql.ts';
export { createRootSecret, type KeyPurpose, type RootSecret } from './root-secret.ts';
export { findOrMakeRootSecret } from './root-secret-file.ts';
export {
  type ActiveKey,
  createSigningKeys,
  type Jwks,
  jwksMaxAgeSeconds,
  type KeyDescription,
  type SigningKeys,
} from './signing-keys.ts';
