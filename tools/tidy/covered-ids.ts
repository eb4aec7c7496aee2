/**
 * Which rows of the security and fault requirements have a test: the ids that stand at the beginning of test titles, such as
 * "TOK-06 a token that is not canonical is refused" or "RAT-03, RAT-04 …". `docs/reference/security-coverage.md` is made of it.
 */

export interface Covered {
  readonly id: string;
  readonly title: string;
  readonly file: string;
}

/** The families, in the order in which the page lists them. */
export const families: Readonly<Record<string, string>> = {
  TOK: 'Access tokens: form and signature',
  CLM: 'Claims, audience, time',
  REF: 'Refresh tokens',
  REV: 'Revocation',
  SES: 'Sessions',
  PWD: 'Passwords',
  EML: 'E-mail addresses',
  INP: 'Input',
  ENU: 'User enumeration',
  RAT: 'Rate limits',
  LCK: 'Lockout',
  MFA: 'Multi-factor authentication',
  WAK: 'Passkeys',
  AZ: 'Authorisation',
  OAU: 'OAuth 2 and OpenID Connect',
  BRW: 'Browser surface',
  DOS: 'Limits and availability',
  KEY: 'Cryptography and keys',
  CFG: 'Configuration and exposure',
  LOG: 'Logs, audit, errors',
  SUP: 'Supply chain',
  CON: 'Containers and stopping',
  F: 'Faults',
};

const id = String.raw`(?:${Object.keys(families).join('|')})-\d\d`;
const title = new RegExp(String.raw`(['"\x60])(${id}(?:(?:, | and |/)${id})*)[ :]((?:\\.|(?!\1)[^\\\n])*)\1`, 'g');

/** Ids at the beginning of any string of a test file: titles may stand in tables. */
export function coveredIds(file: string, source: string): readonly Covered[] {
  return [...source.matchAll(title)].flatMap(({ 2: ids = '', 3: rest = '' }) =>
    ids.split(/, | and |\//).map((one) => ({ id: one, title: rest.replaceAll(/\\(['"`])/g, '$1').trim(), file })),
  );
}

const rank = (one: string): number => Object.keys(families).indexOf(one.split('-')[0] ?? '');

export const inOrder = (covered: readonly Covered[]): readonly Covered[] =>
  covered.toSorted(
    (a, b) =>
      rank(a.id) - rank(b.id) ||
      a.id.localeCompare(b.id) ||
      a.file.localeCompare(b.file) ||
      a.title.localeCompare(b.title),
  );
