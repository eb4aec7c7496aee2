/** The one form in which a password is counted, compared and hashed: Unicode NFC, every character significant. */

/** `undefined` for ill-formed UTF-16: its encoding would replace what it cannot say, and so equate different passwords. */
export function normalisePassword(typed: string): string | undefined {
  return typed.isWellFormed() ? typed.normalize('NFC') : undefined;
}
