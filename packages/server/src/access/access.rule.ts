/** Decisions about roles: names, the union of permissions, the size of claims. */

/** What roles and permissions may take of a token that has to stay within 8 KiB of base64url, header, signature and other claims too. */
const claimsBytesMax = 5_000;

export const isRoleName = (name: string): boolean => /^[a-z][a-z0-9_-]{0,63}$/.test(name);

/** The union of the roles' permissions, sorted, each once. */
export function permissionsOf(roles: readonly { readonly permissions: readonly string[] }[]): readonly string[] {
  return [...new Set(roles.flatMap((role) => role.permissions))].toSorted();
}

/** Whether roles and permissions would make a token longer than one that is valid may be. */
export function claimsTooLarge(roles: readonly string[], permissions: readonly string[]): boolean {
  return Buffer.byteLength(JSON.stringify({ roles, permissions })) > claimsBytesMax;
}
