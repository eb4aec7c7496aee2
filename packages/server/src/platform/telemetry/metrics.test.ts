import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createMetrics, type MetricTable, metricsPage } from './index.ts';

const table = {
  requests_total: { type: 'counter', help: 'Requests.', labels: { kind: ['a', 'b'], who: { open: 3 } } },
  plain_total: { type: 'counter', help: 'Plain \\ and\nbroken.', labels: {} },
  closed_total: { type: 'counter', help: 'Closed.', labels: { kind: ['a', 'b'], result: ['ok', 'bad'] } },
  depth: { type: 'gauge', help: 'Depth.', labels: {} },
  seconds: { type: 'histogram', help: 'Time.', labels: { kind: ['a'] }, buckets: [0.1, 1] },
} as const satisfies MetricTable;

const create = () => createMetrics(table, { runtime: false });
const samples = (text: string, name: string): string[] => text.split('\n').filter((line) => line.startsWith(name));

describe('exposition', () => {
  test('every metric is there from the start, all series of closed labels at zero', async () => {
    const text = await create().render();
    for (const [name, { type }] of Object.entries(table)) assert.ok(text.includes(`# TYPE ${name} ${type}\n`), name);
    assert.deepEqual(samples(text, 'closed_total'), [
      'closed_total{kind="a",result="ok"} 0',
      'closed_total{kind="a",result="bad"} 0',
      'closed_total{kind="b",result="ok"} 0',
      'closed_total{kind="b",result="bad"} 0',
    ]);
    assert.deepEqual(samples(text, 'plain_total'), ['plain_total 0']);
    assert.ok(text.includes('# HELP plain_total Plain \\\\ and\\nbroken.\n'));
    assert.ok(text.endsWith('\n'));
  });

  test('a histogram has cumulative buckets, a sum and a count', async () => {
    const metrics = create();
    for (const value of [0.05, 0.1, 0.5, 7]) metrics.observe('seconds', { kind: 'a' }, value);
    const observe = metrics.observer('seconds', { kind: 'a' });
    observe(0.5);
    assert.deepEqual(samples(await metrics.render(), 'seconds'), [
      'seconds_bucket{kind="a",le="0.1"} 2',
      'seconds_bucket{kind="a",le="1"} 4',
      'seconds_bucket{kind="a",le="+Inf"} 5',
      'seconds_sum{kind="a"} 8.15',
      'seconds_count{kind="a"} 5',
    ]);
  });

  test('what counts elsewhere hands its totals over when it is asked for, and a counter never goes back', async () => {
    const metrics = create();
    let total = 7;
    const end = metrics.onCollect(() => metrics.total('plain_total', {}, total));
    assert.deepEqual(samples(await metrics.render(), 'plain_total'), ['plain_total 7']);
    total = 3;
    assert.deepEqual(samples(await metrics.render(), 'plain_total'), ['plain_total 7']);
    end();
    total = 100;
    assert.deepEqual(samples(await metrics.render(), 'plain_total'), ['plain_total 7']);
    metrics.count('plain_total', {}, -5);
    assert.deepEqual(samples(await metrics.render(), 'plain_total'), ['plain_total 7']);
  });

  test('a gauge goes both ways, to infinity too', async () => {
    const metrics = create();
    metrics.set('depth', {}, -2.5);
    assert.deepEqual(samples(await metrics.render(), 'depth'), ['depth -2.5']);
    metrics.set('depth', {}, Infinity);
    assert.deepEqual(samples(await metrics.render(), 'depth'), ['depth +Inf']);
  });

  test("the runtime's own figures are there unless they are left out", async () => {
    const text = await createMetrics({}).render();
    assert.match(text, /^process_resident_memory_bytes \d/m);
    assert.match(text, /^nodejs_eventloop_lag_p99_seconds/m);
    assert.equal(await createMetrics({}, { runtime: false }).render(), '\n');
  });
});

describe('CFG-06 labels', () => {
  test('CFG-06 ten thousand values of an open label make as many series as it may have, and one for the others', async () => {
    const metrics = create();
    for (let who = 0; who < 10_000; who++)
      metrics.count('requests_total', { kind: 'a', who: `user-${who}@example.com` });
    const lines = samples(await metrics.render(), 'requests_total');
    assert.equal(lines.length, 4);
    assert.ok(lines.includes('requests_total{kind="a",who="other"} 9997'));
  });

  test('CFG-06 a value that is not on a closed list counts as other', async () => {
    const metrics = create();
    const unlisted: string = 'stranger';
    metrics.count('closed_total', { kind: unlisted as 'a', result: 'ok' });
    assert.ok(samples(await metrics.render(), 'closed_total').includes('closed_total{kind="other",result="ok"} 1'));
  });

  test('quotes, backslashes and line breaks in a label cannot forge a line', async () => {
    const metrics = create();
    metrics.count('requests_total', { kind: 'a', who: 'x"} 9\nplain_total 99\\' });
    const text = await metrics.render();
    assert.deepEqual(samples(text, 'plain_total'), ['plain_total 0']);
    assert.ok(text.includes('who="x\\"} 9\\nplain_total 99\\\\"'));
  });
});

test('the page has a row for each metric', () => {
  const page = metricsPage(table);
  for (const name of Object.keys(table)) assert.ok(page.includes(`| \`${name}\` |`), name);
});
