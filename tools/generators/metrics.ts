/** `docs/reference/metrics.md`, from the table of metrics. */
import { metricsTable } from '../../packages/server/src/metrics-table.ts';
import { metricsPage } from '../../packages/server/src/platform/telemetry/index.ts';

const head = `# Metrics

<!-- Generated from packages/server/src/metrics-table.ts by \`npm run generate\`. -->

\`GET /metrics\` answers in the Prometheus text format. With \`METRICS_TOKEN\` it wants that as bearer token; without, it answers
loopback and private peers only.

Every name is there from the start of the process, also while its feature is off. Labels hold no address, name or id, and what
is not on a label's list counts as \`other\`: the number of series is bounded. The runtime's own figures (\`process_…\`,
\`nodejs_…\`) follow those of the service.

`;

export function generate(): Promise<readonly { path: string; content: string }[]> {
  return Promise.resolve([{ path: 'docs/reference/metrics.md', content: head + metricsPage(metricsTable) }]);
}
