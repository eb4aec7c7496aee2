/**
 * Figures and traces of what the process does. Both cost next to nothing while nobody asks for them, neither ever holds up or
 * fails the work that it tells of, and both keep to bounded memory when their reader is away.
 */
export { mergeExpositions } from './exposition.ts';
export { createLoad, type Load } from './load.ts';
export {
  durationBuckets,
  type LabelsOf,
  type Metric,
  type MetricTable,
  shortBuckets,
} from './metric.ts';
export { createMetrics, type Metrics, metricsPage } from './metrics.ts';
export { parseTraceparent, type TraceParent } from './traceparent.ts';
export {
  createTracing,
  type SpanAttributes,
  type SpanRecord,
  type Tracing,
  type TracingOptions,
} from './tracing.ts';
