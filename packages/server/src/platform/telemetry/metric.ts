/** What one metric is, and the table that they stand in. */

/**
 * What a label may say. A list is closed: everything else counts as `other`. `open` takes what comes up to a number of values,
 * then `other`: so nobody outside can make the number of series grow (no address, id or path as sent ever goes in).
 */
export type LabelValues = readonly string[] | { readonly open: number };

export interface Metric {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
  /** Upper bounds of a histogram, ascending, without the last, infinite one. */
  readonly buckets?: readonly number[];
  /** Series that stand at zero from the start, where a label is open; with closed labels all of them do. */
  readonly initial?: readonly Readonly<Record<string, string>>[];
}

export type MetricTable = Readonly<Record<string, Metric>>;

/** The labels of one series, as a caller names them. */
export type LabelsOf<M extends Metric> = {
  readonly [Label in keyof M['labels']]: M['labels'][Label] extends readonly (infer Value extends string)[]
    ? Value
    : string;
};

export type NamesOf<Table extends MetricTable, Type extends Metric['type']> = {
  [Name in keyof Table]: Table[Name]['type'] extends Type ? Name : never;
}[keyof Table] &
  string;

/** What stands in place of a value that is not on the list, or is one too many. */
export const otherLabel = 'other';

/** From 0.5 ms to 10 s: an answer over the network, with a database or a password hash behind it. */
export const durationBuckets = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

/** From 1 µs to 100 ms: work within the process. */
export const shortBuckets = [
  0.000_001, 0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1,
] as const;
