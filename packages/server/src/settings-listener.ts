/** What the variables of the listener may be together. */
import type { ReadTextFile, SettingProblem } from './platform/config/index.ts';
import { readAuthorities } from './platform/http/index.ts';

interface Values {
  readonly NODE_ENV: 'production' | 'development' | 'test' | undefined;
  readonly CORS_ORIGINS: readonly string[];
  readonly COOKIE_MODE: 'off' | 'lax' | 'strict';
  readonly PUBLIC_URL: string | undefined;
  readonly TLS_CERT_FILE: string | undefined;
  readonly TLS_KEY_FILE: string | undefined;
  readonly TLS_CLIENT_CA_FILE: string | undefined;
}

const problem = (variable: keyof Values, text: string, mend: string): SettingProblem => ({
  variable,
  problem: text,
  mend,
});

export function listenerProblems(values: Values, readFile: ReadTextFile): readonly SettingProblem[] {
  const problems: SettingProblem[] = [];
  const isWorkshop = values.NODE_ENV === 'test' || values.NODE_ENV === 'development';
  if (values.CORS_ORIGINS.includes('*') && !isWorkshop) {
    problems.push(problem('CORS_ORIGINS', 'holds *, which is refused in production', 'list the exact origins'));
  }
  if (values.COOKIE_MODE !== 'off') {
    if (values.CORS_ORIGINS.includes('*') && isWorkshop) {
      problems.push(problem('CORS_ORIGINS', 'holds *, and COOKIE_MODE is on', 'list the exact origins'));
    }
    if (!isSecure(values.PUBLIC_URL ?? 'http://localhost')) {
      const mend = 'set PUBLIC_URL to https://…, or COOKIE_MODE to off';
      problems.push(problem('COOKIE_MODE', 'is on, and browsers keep no such cookies without https', mend));
    }
  }
  const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = values;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const missing = certFile === undefined ? 'TLS_CERT_FILE' : 'TLS_KEY_FILE';
    problems.push(problem(missing, 'is missing; certificate and key go together', 'set both or neither'));
  }
  for (const [name, path] of [
    ['TLS_CERT_FILE', certFile],
    ['TLS_KEY_FILE', keyFile],
  ] as const) {
    if (path !== undefined && !isReadable(path, readFile)) {
      problems.push(problem(name, 'names a file that cannot be read', 'correct the path or the permissions'));
    }
  }
  if (values.TLS_CLIENT_CA_FILE !== undefined) problems.push(...clientCaProblems(values, readFile));
  return problems;
}

function clientCaProblems(values: Values, readFile: ReadTextFile): readonly SettingProblem[] {
  const path = values.TLS_CLIENT_CA_FILE ?? '';
  if (values.TLS_CERT_FILE === undefined && values.TLS_KEY_FILE === undefined) {
    const mend = 'set TLS_CERT_FILE and TLS_KEY_FILE, or take it off';
    return [problem('TLS_CLIENT_CA_FILE', 'is set, and nothing here serves https', mend)];
  }
  if (!isReadable(path, readFile)) {
    const mend = 'correct the path or the permissions';
    return [problem('TLS_CLIENT_CA_FILE', 'names a file that cannot be read', mend)];
  }
  try {
    readAuthorities(readFile(path));
    return [];
  } catch {
    const mend = 'set a file of CA certificates in PEM';
    return [problem('TLS_CLIENT_CA_FILE', 'holds something else than certificates of authorities', mend)];
  }
}

/** What browsers take for secure: https, and this machine. */
function isSecure(publicUrl: string): boolean {
  const url = URL.parse(publicUrl);
  return (
    url === null ||
    url.protocol === 'https:' ||
    url.hostname === 'localhost' ||
    /^127(\.\d{1,3}){3}$/.test(url.hostname)
  );
}

function isReadable(path: string, readFile: ReadTextFile): boolean {
  try {
    return readFile(path) !== '';
  } catch {
    return false;
  }
}
