/**
 * Counting what happens, for Prometheus.
 *
 * - Every metric of the table is exposed from the first moment, at zero, whether its feature is on or not.
 * - Counting is an addition to a number in memory; text is made when somebody asks for it. What counts by itself elsewhere
 *   hands its totals over at that moment (`onCollect`).
 * - The number of series is bounded, and no label holds what a stranger chose (see `LabelValues`).
 *
 * The runtime's own figures (`process_…`, `nodejs_…`) come from `prom-client`. Ours do not: its histogram costs 0.7 µs an
 * observation, which is as much as a whole validation of a token, and cannot be filled from plain numbers.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { LabelsOf, MetricTable, NamesOf } from './metric.ts';
import { createFamily, type Family, observe, renderFamily, type Series } from './series.ts';

export interface Metrics<Table extends MetricTable> {
  count<Name extends NamesOf<Table, 'counter'>>(name: Name, labels: LabelsOf<Table[Name]>, by?: number): void;
  /** The total of a counter that counts elsewhere. It never goes back: a lower figure is not taken. */
  total<Name extends NamesOf<Table, 'counter'>>(name: Name, labels: LabelsOf<Table[Name]>, value: number): void;
  set<Name extends NamesOf<Table, 'gauge'>>(name: Name, labels: LabelsOf<Table[Name]>, value: number): void;
  observe<Name extends NamesOf<Table, 'histogram'>>(name: Name, labels: LabelsOf<Table[Name]>, value: number): void;
  /** `observe` for a hot path, its labels settled beforehand. */
  observer<Name extends NamesOf<Table, 'histogram'>>(
    name: Name,
    labels: LabelsOf<Table[Name]>,
  ): (value: number) => void;
  /** Called before each rendering, to hand over what counts elsewhere; answers the function that ends it. */
  onCollect(collect: () => void): () => void;
  /** The Prometheus text format. */
  render(): Promise<string>;
}

export function createMetrics<Table extends MetricTable>(
  table: Table,
  /** `false` leaves the runtime's figures out: they watch the whole process, so one of its services tells them. */
  options: { readonly runtime?: boolean } = {},
): Metrics<Table> {
  const families = new Map<string, Family>();
  for (const [name, metric] of Object.entries(table)) families.set(name, createFamily(name, metric));
  const collectors = new Set<() => void>();
  const runtime = new Registry();
  if (options.runtime !== false) collectDefaultMetrics({ register: runtime });

  const familyOf = (name: string): Family => {
    const family = families.get(name);
    if (family === undefined) throw new Error(`there is no metric ${name}`);
    return family;
  };
  const seriesOf = (name: string, labels: object): Series =>
    familyOf(name).find(labels as Readonly<Record<string, string>>);

  return {
    count: (name, labels, by = 1) => {
      if (by > 0) seriesOf(name, labels).value += by;
    },
    total: (name, labels, value) => {
      const series = seriesOf(name, labels);
      if (value > series.value) series.value = value;
    },
    set: (name, labels, value) => {
      seriesOf(name, labels).value = value;
    },
    observe: (name, labels, value) => observe(seriesOf(name, labels), table[name]?.buckets ?? [], value),
    observer: (name, labels) => {
      const series = seriesOf(name, labels);
      const buckets = table[name]?.buckets ?? [];
      return (value) => observe(series, buckets, value);
    },
    onCollect: (collect) => {
      collectors.add(collect);
      return () => collectors.delete(collect);
    },
    async render() {
      for (const collect of collectors) collect();
      const own = [...families.values()].map(renderFamily).join('');
      return own + (await runtime.metrics());
    },
  };
}

/** The table as a page of Markdown. */
export function metricsPage(table: MetricTable): string {
  const rows = Object.entries(table).map(([name, { type, labels, help }]) => {
    const described = Object.entries(labels).map(([label, values]) =>
      'open' in values ? `\`${label}\`` : `\`${label}\`: ${values.map((value) => `\`${value}\``).join(', ')}`,
    );
    return `| \`${name}\` | ${type} | ${described.join('; ') || '–'} | ${help} |\n`;
  });
  return `| name | type | labels | meaning |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}
