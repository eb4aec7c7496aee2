/**
 * What of a tutorial is executed: every fenced block, or it does not parse.
 *
 * - A block whose first line is a comment with a path (`// main.ts`, `# .env`, `<!-- index.html -->`, `/* page.css *\/`) is that file, whole.
 * - `sh [terminal]`: commands that end, in one shell for each terminal; each of them must succeed.
 * - `console [terminal] [eventually]`: `$ command`, and below it what it prints, all of it. `…` stands for any text within a line,
 *   a line of `…` alone for any lines. `^C` interrupts what the terminal runs.
 * - In a terminal that has a name a command may go on: it is done when what stands below it has been printed.
 * - `eventually`: commands that are repeated until they print what stands below them; for what takes a moment.
 */

export type Step =
  /** A heading of the second level, without its marks. */
  | { readonly kind: 'heading'; readonly line: number; readonly text: string }
  | { readonly kind: 'file'; readonly line: number; readonly path: string; readonly text: string }
  | { readonly kind: 'commands'; readonly line: number; readonly terminal: string; readonly text: string }
  | {
      readonly kind: 'transcript';
      readonly line: number;
      readonly terminal: string;
      readonly eventually: boolean;
      readonly entries: readonly Entry[];
    };

export interface Entry {
  readonly line: number;
  /** `null`: Ctrl-C. */
  readonly command: string | null;
  readonly prints: readonly string[];
}

/** The terminal of blocks that name none. */
export const mainTerminal = '';

/** A fenced block, or a heading where `info` is empty. */
interface Block {
  /** Of its first line, from 1. */
  readonly line: number;
  readonly info: readonly string[];
  readonly lines: readonly string[];
}

export const parseTutorial = (markdown: string): readonly Step[] => blocksOf(markdown).map(stepOf);

function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { line: number; info: string[]; lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open !== undefined && line === '```') {
      blocks.push(open);
      open = undefined;
    } else if (open !== undefined) {
      open.lines.push(line);
    } else if (/^\s*(?:```|~~~)/.test(line)) {
      if (!/^```\w/.test(line)) throw new Error(`line ${index + 1}: a block begins with \`\`\` and its language`);
      open = { line: index + 2, info: line.slice(3).trim().split(/\s+/), lines: [] };
    } else if (line.startsWith('## ')) {
      blocks.push({ line: index + 1, info: [], lines: [line.slice(3)] });
    }
  }
  if (open !== undefined) throw new Error(`line ${open.line}: this block has no end`);
  return blocks;
}

const fileName = /^(?:\/\/|#|<!--|\/\*) ((?:[\w.@[\]-]+\/)*[\w.@[\]-]+\.\w+)(?: -->| \*\/)?$/;

function stepOf({ line, info, lines }: Block): Step {
  const [language, ...words] = info;
  if (language === undefined) return { kind: 'heading', line, text: lines.join() };
  if (language === 'sh') {
    if (words.length > 1) throw new Error(`line ${line}: sh takes the name of a terminal`);
    return { kind: 'commands', line, terminal: words[0] ?? mainTerminal, text: lines.join('\n') };
  }
  if (language === 'console') {
    const eventually = words.at(-1) === 'eventually';
    const named = eventually ? words.slice(0, -1) : words;
    if (named.length > 1) throw new Error(`line ${line}: console takes the name of a terminal, and \`eventually\``);
    const entries = entriesOf(lines, line);
    return { kind: 'transcript', line, terminal: named[0] ?? mainTerminal, eventually, entries };
  }
  const path = fileName.exec(lines[0] ?? '')?.[1];
  if (path === undefined) throw new Error(`line ${line}: a file begins with a comment that names it`);
  if (path.split('/').includes('..')) throw new Error(`line ${line}: a file lies within its folder`);
  return { kind: 'file', line, path, text: `${lines.join('\n')}\n` };
}

function entriesOf(lines: readonly string[], first: number): readonly Entry[] {
  const entries: { line: number; command: string | null; prints: string[] }[] = [];
  for (const [index, line] of lines.entries()) {
    const last = entries.at(-1);
    if (line === '^C') entries.push({ line: first + index, command: null, prints: [] });
    else if (line.startsWith('$ ')) entries.push({ line: first + index, command: line.slice(2), prints: [] });
    else if (last === undefined) throw new Error(`line ${first + index}: a console begins with a command`);
    else if (last.command?.endsWith('\\') && last.prints.length === 0) last.command += `\n${line}`;
    else last.prints.push(line);
  }
  if (entries.length === 0) throw new Error(`line ${first}: a console begins with a command`);
  return entries;
}

/** Whether the output is what a tutorial shows; with `begins`, whether it begins so. */
export function matches(prints: readonly string[], output: string, { begins = false } = {}): boolean {
  const pattern = prints
    .map((line) => (line === '…' ? '(?:.*\\n)*?' : `${line.split('…').map(literal).join('.*')}\\n`))
    .join('');
  const text = output === '' || output.endsWith('\n') || begins ? output : `${output}\n`;
  return new RegExp(`^${pattern}${begins ? '' : '$'}`).test(text);
}

/** What a terminal shows, without colours and returns of the carriage. */
export const plain = (output: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  output.replaceAll(/\u001b\[[\d;?]*[A-Za-z]/g, '').replaceAll('\r', '');

const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
