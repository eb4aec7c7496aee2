/** The table of settings for people: a page, an example file, and the effective values of a running service. */
import type { SettingSource } from './read.ts';
import type { Setting, SettingProblem, SettingTable, ValuesOf } from './setting.ts';

export interface EffectiveSetting {
  readonly variable: string;
  readonly group: string;
  /** Secrets masked; empty when there is none. */
  readonly value: string;
  readonly source: SettingSource;
}

export function effectiveSettings<Table extends SettingTable>(
  table: Table,
  values: ValuesOf<Table>,
  sources: Readonly<Record<keyof Table, SettingSource>>,
): readonly EffectiveSetting[] {
  return Object.entries(table).map(([variable, setting]) => ({
    variable,
    group: setting.group,
    value: setting.show((values as Readonly<Record<string, unknown>>)[variable]),
    source: sources[variable as keyof Table],
  }));
}

export const problemLine = ({ variable, problem, mend }: SettingProblem): string =>
  problem.startsWith(variable) ? `${problem}; ${mend}` : `${variable} ${problem}; ${mend}`;

/** Markdown: one table a group. */
export function settingsPage(table: SettingTable, heading = '##'): string {
  const sections = [...groupsOf(table)].map(([group, settings]) => {
    const rows = settings.map(([name, setting]) => {
      const file = setting.secret ? ` (or \`${name}_FILE\`)` : '';
      return `| \`${name}\`${file} | ${defaultCell(setting.shownDefault)} | ${valuesCell(setting.values)} | ${escapeBars(setting.about)} |`;
    });
    return [
      `${heading} ${group}`,
      '',
      '| variable | default | values | meaning |',
      '| --- | --- | --- | --- |',
      ...rows,
      '',
    ].join('\n');
  });
  return sections.join('\n');
}

/** `.env.example`: every variable, none of them set, and no value that a secret could have. */
export function exampleFile(table: SettingTable, lineWidth = 100): string {
  const sections = [...groupsOf(table)].map(([group, settings]) => {
    const lines = settings.flatMap(([name, setting]) => [
      ...wrap(
        `${plain(setting.about)} (${plain(setting.values)}; default: ${plain(setting.shownDefault)})`,
        lineWidth - 2,
      ).map((line) => `# ${line}`),
      ...(setting.secret ? [`# ${name}=`, `# ${name}_FILE=`] : [`# ${name}=${exampleValue(setting)}`]),
      '',
    ]);
    return [`# --- ${group} ---`, '', ...lines].join('\n');
  });
  return sections.join('\n');
}

function groupsOf(table: SettingTable): ReadonlyMap<string, readonly (readonly [string, Setting<unknown>])[]> {
  const groups = new Map<string, (readonly [string, Setting<unknown>])[]>();
  for (const entry of Object.entries(table)) {
    const [, { group }] = entry;
    groups.set(group, [...(groups.get(group) ?? []), entry]);
  }
  return groups;
}

const exampleValue = (setting: Setting<unknown>): string => setting.show(setting.fallback);

/** A bar would end the cell. */
const escapeBars = (text: string): string => text.replaceAll('|', '\\|');

/** Words stay words; what can be set as it stands is code. */
const defaultCell = (text: string): string =>
  /[ `]/.test(text) || text === 'none' ? escapeBars(text) : `\`${escapeBars(text)}\``;

const valuesCell = (text: string): string =>
  /^\S*[|:/]\S*$/.test(text) ? `\`${escapeBars(text)}\`` : escapeBars(text);

const plain = (text: string): string => text.replaceAll('`', '').replaceAll('\\|', '|');

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
