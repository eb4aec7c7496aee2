/**
 * What of an environment is meant for us.
 *
 * - A `.env` file in the working directory is read; a variable of the real environment wins over it.
 * - What Kubernetes injects for each service in sight (`REDIS_PORT=tcp://10.0.0.1:6379`, `REDIS_SERVICE_HOST`) is no
 *   setting, though it may carry a setting's name.
 * - A name that is nobody's, and one or two letters away from one of ours, is a mistake that would leave a default in force
 *   unseen: it is a problem. A name that merely begins like ours may be meant for somebody else: it is a warning.
 */
import { parseEnv } from 'node:util';
import type { SettingProblem } from './setting.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export type ReadTextFile = (path: string) => string;

const dotenvCharactersMax = 256 * 1024;

/** The environment with the `.env` file beneath it. `readFile` throws an error with `code: 'ENOENT'` where there is none. */
export function withDotenv(
  environment: Environment,
  path: string,
  readFile: ReadTextFile,
): { readonly environment: Environment; readonly problems: readonly SettingProblem[] } {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined));
  try {
    const content = readFile(path);
    if (content.length > dotenvCharactersMax) throw new Error('it is too large');
    return { environment: { ...parseEnv(content), ...given }, problems: [] };
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'EISDIR') return { environment: given, problems: [] };
    const problem = {
      variable: path,
      problem: `cannot be read (${codeOf(error)})`,
      mend: 'make it readable or remove it',
    };
    return { environment: given, problems: [problem] };
  }
}

export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : 'unknown';
}

const serviceAddress = /^(tcp|udp|sctp):\/\/[^/\s]+$/;

/** Whether Kubernetes wrote this, for a service that happens to be called like something of ours. */
export function isInjected(name: string, value: string): boolean {
  if (name.endsWith('_PORT') && serviceAddress.test(value)) return true;
  return injectedName.test(name);
}

const injectedName = /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;

/** Names that programs at large know, and that are near one of ours by chance. */
const namesOfOthers: ReadonlySet<string> = new Set([
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_PATH',
  'LOGNAME',
  'HOSTNAME',
]);

export interface UnknownNames {
  readonly problems: readonly SettingProblem[];
  readonly warnings: readonly SettingProblem[];
}

/** `known`: all our names, those with `_FILE` too. `prefixes`: how only our names begin. */
export function findUnknownNames(
  environment: Environment,
  known: readonly string[],
  prefixes: readonly string[],
): UnknownNames {
  const problems: SettingProblem[] = [];
  const warnings: SettingProblem[] = [];
  const names = new Set(known);
  for (const [variable, value = ''] of Object.entries(environment)) {
    if (
      names.has(variable) ||
      namesOfOthers.has(variable) ||
      !/^[A-Z][A-Z0-9_]{4,63}$/.test(variable) ||
      isInjected(variable, value)
    )
      continue;
    const near = nearest(variable, known);
    if (near !== undefined) {
      problems.push({ variable, problem: 'is not a variable of this service', mend: `did you mean ${near}?` });
    } else if (prefixes.some((prefix) => variable.startsWith(prefix))) {
      warnings.push({ variable, problem: 'is not a variable of this service, and is not used', mend: 'unset it' });
    }
  }
  return { problems, warnings };
}

/** The known name that this is a slip of. The shorter the name, the fewer letters may differ. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const distanceMax = name.length >= 10 ? 2 : name.length >= 6 ? 1 : 0;
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) > distanceMax) continue;
    const distance = editDistance(name, candidate);
    if (distance <= distanceMax && distance < (best?.distance ?? Infinity)) best = { name: candidate, distance };
  }
  return best?.name;
}

/** Letters to insert, delete, replace, or swap with their neighbour (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
