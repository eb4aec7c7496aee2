/** Rows of the table: what was measured, against what, and whether the bar is met. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';

export interface Bar {
  readonly text: string;
  readonly met: boolean;
}

export interface Row {
  readonly workload: string;
  readonly ours: string;
  readonly limit: string;
  /** Ours over the limit, both of one run. */
  readonly ratio: number | undefined;
  readonly bar: Bar | undefined;
  readonly note: string;
  /** Every round, for the JSON. */
  readonly raw: Readonly<Record<string, unknown>>;
}

export interface Report {
  readonly at: string;
  readonly machine: string;
  readonly loadAtStart: number;
  readonly quick: boolean;
  readonly missing: readonly string[];
  readonly rows: readonly Row[];
  readonly failures: readonly string[];
}

export const atLeast = (value: number, bar: number, unit = ''): Bar => ({
  text: `≥ ${format(bar)}${unit}`,
  met: value >= bar,
});

export const atMost = (value: number, bar: number, unit = ''): Bar => ({
  text: `≤ ${format(bar)}${unit}`,
  met: value <= bar,
});

export function format(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1_000) return Math.round(value).toLocaleString('en-US');
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

export const perSecond = (value: number): string => `${format(value)}/s`;

export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${availableParallelism()} × ${model}, Node ${process.versions.node}, ${process.platform}`;
}

export const loadNow = (): number => loadavg()[0] ?? 0;

const columns = ['workload', 'ours', 'limit', 'ratio', 'bar', 'verdict', 'note'] as const;

function cells(row: Row): readonly string[] {
  const verdict = row.bar === undefined ? '' : row.bar.met ? 'met' : 'MISSED';
  const ratio = row.ratio === undefined ? '' : row.ratio.toFixed(row.ratio < 10 ? 2 : 0);
  return [row.workload, row.ours, row.limit, ratio, row.bar?.text ?? '', verdict, row.note];
}

export function textTable(rows: readonly Row[]): string {
  const lines = [columns, ...rows.map(cells)];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function markdownTable(report: Report): string {
  const line = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`;
  return [
    `Measured ${report.at} on ${report.machine}; load of the machine when it began: ${report.loadAtStart.toFixed(1)}.`,
    ...report.missing.map((text) => `Missing: ${text}.`),
    ...report.failures.map((text) => `Failed: ${text}.`),
    '',
    line(columns),
    line(columns.map(() => '---')),
    ...report.rows.map((row) => line(cells(row))),
  ].join('\n');
}

const begin = '<!-- written by `npm run bench -- --write-docs`: begin -->';
const close = '<!-- end -->';

/** The table with some of its rows measured again; a line under it says which, and when. */
function withRows(table: string, report: Report): string {
  const line = (row: Row): string => `| ${cells(row).join(' | ')} |`;
  const again = new Map(report.rows.map((row) => [`| ${row.workload} |`, line(row)]));
  const lines = table.split('\n').map((one) => {
    const [start, fresh] = [...again].find(([begins]) => one.startsWith(begins)) ?? [];
    if (start !== undefined) again.delete(start);
    return fresh ?? one;
  });
  const names = report.rows.map((row) => row.workload).join('; ');
  return [...lines, ...again.values(), '', `Measured again ${report.at}: ${names}.`].join('\n');
}

/** Puts the table between the two marks of a document; `some`: the rows of the report alone, the others stay. */
export function writeTable(path: string, report: Report, some: boolean): void {
  const text = readFileSync(path, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(close);
  if (from === -1 || to < from) throw new Error(`${path} has no place for the table`);
  const table = some ? withRows(text.slice(from + begin.length, to).trim(), report) : markdownTable(report);
  writeFileSync(path, `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`);
}
