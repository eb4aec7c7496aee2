/** The report: a row for each experiment, in the terminal and in docs/guarantees.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Violation } from './checker.ts';
import { experiments } from './experiments.ts';
import type { Result } from './inside.ts';

const page = fileURLToPath(new URL('../../docs/guarantees.md', import.meta.url));
const begin = '<!-- faults: written by `npm run test:faults -- --write-docs` -->\n';
const end = '<!-- end of faults -->';

const columns = [
  'experiment',
  'what was done',
  'revocations acknowledged (everywhere)',
  'verifications',
  'violations',
  'facts lost',
  'still accepted after the acknowledgement, p99 / max',
  'receipt p50 / p99',
  'requests: all, 503, unanswered',
  'longest answer',
  'longest outage: validate, refresh, login, logout',
  'right again after',
  'more',
] as const;

const ms = (value: number): string => `${Math.round(value)} ms`;
const isLoss = (violation: Violation): boolean => violation.kind === 'acknowledged fact lost';

export function rowOf({ id, shape, findings: { violations, figures }, notes }: Result): readonly string[] {
  const title = experiments.find((one) => one.id === id)?.title ?? '';
  const { longestOutageMs: outage, acceptedAfter, receipt } = figures;
  return [
    `${id} (${shape})`,
    title,
    `${figures.revocations} (${figures.everywhere})`,
    String(figures.verifications),
    String(violations.filter((one) => !isLoss(one)).length),
    String(violations.filter(isLoss).length),
    `${ms(acceptedAfter.p99)} / ${ms(acceptedAfter.max)}`,
    `${ms(receipt.p50)} / ${ms(receipt.p99)}`,
    `${figures.calls}, ${figures.refused503}, ${figures.unanswered}`,
    ms(figures.longestAnswerMs),
    [outage.validate, outage.refresh, outage.login, outage.logout].map(ms).join(', '),
    ms(figures.recoveredAfterMs),
    notes.join('; ').replaceAll('|', '/'),
  ];
}

/** For the terminal: a line each, and every kind of violation with an example. */
export function describeResult(result: Result): string {
  const row = rowOf(result);
  const lines = columns.map((name, at) => `  ${name}: ${row[at] ?? ''}`);
  const kinds = Map.groupBy(result.findings.violations, (one) => one.kind);
  const wrong = [...kinds].map(
    ([kind, all]) =>
      `  VIOLATION ${all.length} × ${kind}: ${all
        .slice(0, 3)
        .map((one) => one.detail)
        .join('; ')}`,
  );
  return [
    `${wrong.length === 0 ? 'ok' : 'FAILED'} ${row[0]} in ${result.seconds.toFixed(0)} s`,
    ...lines.slice(1),
    ...wrong,
  ].join('\n');
}

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** Rows of experiments that were not run now stay as they are. */
export function writeReport(results: readonly Result[]): void {
  const text = readFileSync(page, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to < from) throw new Error('docs/guarantees.md has lost the marks around the report');
  const rows = new Map<string, string>();
  for (const old of text.slice(from, to).split('\n')) {
    const key = /^\| (F-\w+ \([\w-]+\)) \|/.exec(old)?.[1];
    if (key !== undefined) rows.set(key, old);
  }
  for (const result of results) {
    const cells = rowOf(result);
    rows.set(cells[0] ?? '', line(cells));
  }
  const sorted = [...rows].toSorted(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })).map(([, row]) => row);
  const table = [line(columns), line(columns.map(() => '---')), ...sorted].join('\n');
  writeFileSync(page, `${text.slice(0, from + begin.length)}\n${table}\n\n${text.slice(to)}`);
}
