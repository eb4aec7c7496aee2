/** The series of one metric: plain numbers in memory, found by their label values, with a bound on how many there can be. */
import { type Metric, otherLabel } from './metric.ts';

export interface Series {
  /** As they stand in the exposition: `{route="/x",method="GET"}` without the braces. */
  readonly labels: string;
  /** A counter's or gauge's value; a histogram's number of observations. */
  value: number;
  sum: number;
  readonly bucketCounts: Float64Array | undefined;
}

export interface Family {
  readonly name: string;
  readonly metric: Metric;
  find(labels: Readonly<Record<string, string>>): Series;
  all(): readonly Series[];
}

/** Series are found label by label: joining their values into one key would cost more than the counting. */
interface Branch {
  readonly branches: Map<string, Branch>;
  series: Series | undefined;
}

/** Whatever the labels: more than this would be a fault of ours. */
const seriesMax = 5_000;
/** Closed labels up to so many combinations are all there from the start. */
const initialMax = 200;

export function createFamily(name: string, metric: Metric): Family {
  const labelNames = Object.keys(metric.labels);
  const root: Branch = { branches: new Map(), series: undefined };
  const series: Series[] = [];
  const seen = new Map<string, Set<string>>();

  function add(branch: Branch, values: readonly string[]): Series {
    const labels = labelNames.map((label, index) => `${label}="${escapeLabel(values[index] ?? '')}"`).join(',');
    const bucketCounts = metric.buckets === undefined ? undefined : new Float64Array(metric.buckets.length);
    const made = { labels, value: 0, sum: 0, bucketCounts };
    branch.series = made;
    series.push(made);
    return made;
  }

  function bounded(label: string, value: string): string {
    const allowed = metric.labels[label] ?? [];
    if (!('open' in allowed)) return allowed.includes(value) ? value : otherLabel;
    const known = seen.get(label) ?? new Set();
    seen.set(label, known);
    if (known.has(value)) return value;
    if (known.size >= allowed.open) return otherLabel;
    known.add(value);
    return value;
  }

  function grow(values: readonly string[]): Branch {
    let branch = root;
    for (const value of values) {
      const next = branch.branches.get(value) ?? { branches: new Map(), series: undefined };
      branch.branches.set(value, next);
      branch = next;
    }
    return branch;
  }

  function find(labels: Readonly<Record<string, string>>): Series {
    let branch: Branch | undefined = root;
    for (let index = 0; index < labelNames.length && branch !== undefined; index++) {
      branch = branch.branches.get(labels[labelNames[index] ?? ''] ?? '');
    }
    return branch?.series ?? findBounded(labels);
  }

  function findBounded(labels: Readonly<Record<string, string>>): Series {
    const values = labelNames.map((label) => bounded(label, labels[label] ?? ''));
    const kept = series.length < seriesMax ? values : labelNames.map(() => otherLabel);
    const branch = grow(kept);
    return branch.series ?? add(branch, kept);
  }

  for (const labels of metric.initial ?? combinations(metric)) find(labels);
  return { name, metric, find, all: () => series };
}

function combinations(metric: Metric): readonly Readonly<Record<string, string>>[] {
  let all: readonly Readonly<Record<string, string>>[] = [{}];
  for (const [label, values] of Object.entries(metric.labels)) {
    if ('open' in values) return [];
    all = all.flatMap((labels) => values.map((value) => ({ ...labels, [label]: value })));
  }
  return all.length > initialMax ? [] : all;
}

export function observe(series: Series, buckets: readonly number[], value: number): void {
  series.value += 1;
  series.sum += value;
  const counts = series.bucketCounts;
  if (counts === undefined) return;
  for (let index = 0; index < buckets.length; index++) {
    if (value <= (buckets[index] ?? Infinity)) {
      counts[index] = (counts[index] ?? 0) + 1;
      return;
    }
  }
}

const escapeLabel = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** One family in the Prometheus text format, version 0.0.4. */
export function renderFamily({ name, metric, all }: Family): string {
  const lines = [
    `# HELP ${name} ${metric.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
    `# TYPE ${name} ${metric.type}`,
  ];
  for (const series of all()) {
    if (metric.buckets === undefined) {
      lines.push(`${name}${series.labels === '' ? '' : `{${series.labels}}`} ${number(series.value)}`);
      continue;
    }
    const before = series.labels === '' ? '' : `${series.labels},`;
    let below = 0;
    for (const [index, bound] of metric.buckets.entries()) {
      below += series.bucketCounts?.[index] ?? 0;
      lines.push(`${name}_bucket{${before}le="${bound}"} ${below}`);
    }
    const braces = series.labels === '' ? '' : `{${series.labels}}`;
    lines.push(`${name}_bucket{${before}le="+Inf"} ${series.value}`);
    lines.push(`${name}_sum${braces} ${number(series.sum)}`, `${name}_count${braces} ${series.value}`);
  }
  return `${lines.join('\n')}\n`;
}

const number = (value: number): string => (value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value));
