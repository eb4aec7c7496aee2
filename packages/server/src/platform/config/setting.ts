/** What one setting is, and the table that they stand in. The kinds of value are in `kinds.ts`. */

/** One line for the operator: which variable, what is wrong, what to set instead. Never holds the value of a secret. */
export interface SettingProblem {
  readonly variable: string;
  readonly problem: string;
  readonly mend: string;
}

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string; readonly mend: string };

export interface Setting<T> {
  /** Heading that it stands under in the documents. */
  readonly group: string;
  readonly about: string;
  /** What may be written, for the documents: `1 to 65535`, `off|required`. */
  readonly values: string;
  readonly fallback: T;
  /** The default as the documents say it. */
  readonly shownDefault: string;
  readonly secret: boolean;
  /** Whether an empty variable is as good as none. A secret that must be strong says no: an empty one is a mistake. */
  readonly emptyIsUnset: boolean;
  /** Whether this value asks for something that this version does not have yet. */
  readonly unavailable: (value: T) => boolean;
  parse(text: string): Parsed<T>;
  /** The value for people: secrets masked. */
  show(value: T): string;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds settings of every type, and a setting takes its own type in and gives it out
export type SettingTable = Readonly<Record<string, Setting<any>>>;

/** What a table's variables are read into. */
export type ValuesOf<Table extends SettingTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer T> ? T : never;
};

/** Puts the settings of a part of the table under one heading. */
export function inGroup<Table extends SettingTable>(group: string, table: Table): Table {
  const entries = Object.entries(table).map(([name, setting]) => [name, { ...setting, group }] as const);
  return Object.fromEntries(entries) as unknown as Table;
}
