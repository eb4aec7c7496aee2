/**
 * Reads the imports of a TypeScript source text. It relies on the formatter: an import statement begins its line, and quotes
 * are single. What looks like an import and was not read is answered as `unread`, so nothing slips through unseen.
 */

export interface Import {
  readonly specifier: string;
  /** Gone at run time. */
  readonly typeOnly: boolean;
  readonly line: number;
}

export interface Imports {
  readonly imports: readonly Import[];
  /** Lines that speak of a module and were not understood. */
  readonly unread: readonly number[];
}

const names = String.raw`(?:[\w$]+|\{[^}]*\}|\*(?:\s+as\s+[\w$]+)?)`;
const statement = new RegExp(
  String.raw`^(?:import|export)\s+(type\s+)?(${names}(?:\s*,\s*${names})?)\s+from\s+'([^']+)'`,
  'gm',
);
const bare = /^import\s+'([^']+)'/gm;
const dynamic = /\bimport\(\s*'([^']+)'/g;
/** `new URL('./x.worker.ts', import.meta.url)`: how a worker's file is named. */
const address = /new URL\(\s*'(\.{1,2}\/[^']+\.ts)',\s*import\.meta\.url/g;
const looksLikeImport = /^(?:import|export)\b.*\bfrom\s+['"`]|^\}\s+from\s+['"`]|^import\s+['"`]/;

const everyNameIsType = (clause: string): boolean =>
  clause.startsWith('{') &&
  clause
    .slice(1, -1)
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .every((name) => name.startsWith('type '));

export function readImports(source: string): Imports {
  const lineOf = (offset: number): number => source.slice(0, offset).split('\n').length;
  const imports: Import[] = [];
  const ends = new Set<number>();
  for (const match of source.matchAll(statement)) {
    const [text, type, clause = '', specifier = ''] = match;
    ends.add(lineOf(match.index + text.length));
    imports.push({ specifier, typeOnly: type !== undefined || everyNameIsType(clause), line: lineOf(match.index) });
  }
  for (const pattern of [bare, dynamic, address]) {
    for (const match of source.matchAll(pattern)) {
      const line = lineOf(match.index);
      ends.add(line);
      imports.push({ specifier: match[1] ?? '', typeOnly: false, line });
    }
  }
  const unread = source
    .split('\n')
    .flatMap((line, index) => (looksLikeImport.test(line) && !ends.has(index + 1) ? [index + 1] : []));
  return { imports, unread };
}
