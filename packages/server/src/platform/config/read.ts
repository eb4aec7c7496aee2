/** Reads a table of settings from an environment: all of it or all that is wrong with it, never a part. */
import { codeOf, type Environment, findUnknownNames, isInjected, type ReadTextFile } from './environment.ts';
import type { SettingProblem, SettingTable, ValuesOf } from './setting.ts';

export type SettingSource = 'environment' | 'file' | 'default';

export type ReadResult<Table extends SettingTable> =
  | {
      readonly ok: true;
      readonly values: ValuesOf<Table>;
      readonly sources: Readonly<Record<keyof Table, SettingSource>>;
      readonly warnings: readonly SettingProblem[];
    }
  | {
      readonly ok: false;
      readonly problems: readonly SettingProblem[];
      /** What could be read, and the defaults of what could not: to look for more problems, not to start with. */
      readonly values: ValuesOf<Table>;
      readonly sources: Readonly<Record<keyof Table, SettingSource>>;
    };

const secretFileCharactersMax = 64 * 1024;

export function readSettings<Table extends SettingTable>(
  table: Table,
  environment: Environment,
  options: { readonly readFile: ReadTextFile; readonly prefixes: readonly string[] },
): ReadResult<Table> {
  const unknown = findUnknownNames(environment, knownNames(table), options.prefixes);
  const problems: SettingProblem[] = [...unknown.problems];
  const values: Record<string, unknown> = {};
  const sources: Record<string, SettingSource> = {};
  for (const [name, setting] of Object.entries(table)) {
    const given = findText(name, setting.secret, setting.emptyIsUnset, environment, options.readFile);
    values[name] = setting.fallback;
    sources[name] = 'problem' in given ? 'environment' : given.source;
    if ('problem' in given) problems.push(given.problem);
    if ('problem' in given || given.text === undefined) continue;
    const parsed = setting.parse(given.text);
    if (!parsed.ok) problems.push({ variable: given.variable, problem: parsed.problem, mend: parsed.mend });
    else if (setting.unavailable(parsed.value)) problems.push(unavailable(given.variable, setting.secret, given.text));
    else values[name] = parsed.value;
  }
  const found = {
    values: values as ValuesOf<Table>,
    sources: sources as Record<keyof Table, SettingSource>,
  };
  return problems.length > 0 ? { ok: false, problems, ...found } : { ok: true, warnings: unknown.warnings, ...found };
}

/** Every name that is looked at: the variables, and the `_FILE` beside each secret. */
export function knownNames(table: SettingTable): readonly string[] {
  return Object.entries(table).flatMap(([name, setting]) => (setting.secret ? [name, `${name}_FILE`] : [name]));
}

function unavailable(variable: string, isSecret: boolean, text: string): SettingProblem {
  const what = isSecret || text.length > 40 ? '' : `=${text}`;
  return { variable, problem: `${variable}${what} is not available in this version yet`, mend: 'unset it' };
}

type Found =
  | { readonly text: string | undefined; readonly variable: string; readonly source: SettingSource }
  | { readonly problem: SettingProblem };

function findText(
  name: string,
  isSecret: boolean,
  emptyIsUnset: boolean,
  environment: Environment,
  readFile: ReadTextFile,
): Found {
  const fileVariable = `${name}_FILE`;
  const path = isSecret ? environment[fileVariable] : undefined;
  const direct = environment[name];
  const isSet = direct !== undefined && !isInjected(name, direct) && !(direct.trim() === '' && emptyIsUnset);
  if (path === undefined || path === '') {
    if (!isSet) return { text: undefined, variable: name, source: 'default' };
    return { text: isSecret ? direct : direct.trim(), variable: name, source: 'environment' };
  }
  if (isSet) {
    return { problem: { variable: name, problem: `is set, and so is ${fileVariable}`, mend: 'set one of them' } };
  }
  try {
    const content = readFile(path);
    if (content.length > secretFileCharactersMax) throw new Error('it is too large');
    // Editors and `echo` end a file with a line break, which is no part of the secret.
    return { text: content.replace(/\r?\n$/, ''), variable: fileVariable, source: 'file' };
  } catch (error) {
    const problem = `names a file that cannot be read (${codeOf(error)})`;
    return { problem: { variable: fileVariable, problem, mend: 'make it readable or unset it' } };
  }
}
