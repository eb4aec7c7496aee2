/** The words on the wire: error codes, claims, permissions, schemas. No I/O. */
export * from './administration.ts';
export * from './claims.ts';
export * from './errors.ts';
export * from './http/problem.ts';
export * from './json-schema.ts';
export * from './metadata.ts';
export * from './permissions.ts';
export * from './schemas.ts';
export * from './schemas-api-keys.ts';
export * from './schemas-mfa.ts';
export * from './schemas-passkeys.ts';
export * from './schemas-recovery.ts';
