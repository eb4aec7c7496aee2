import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mergeExpositions } from './exposition.ts';
import { createMetrics } from './index.ts';

describe('expositions of several processes as one', () => {
  test('every sample is there once, under its family, and says whose it is', async () => {
    const table = {
      a_total: { type: 'counter', help: 'A.', labels: { kind: { open: 5 } } },
      b_seconds: { type: 'histogram', help: 'B {x} y.', labels: {}, buckets: [1] },
    } as const;
    const texts = [];
    for (const value of ['1', '2']) {
      const metrics = createMetrics(table, { runtime: false });
      metrics.count('a_total', { kind: 'x {y} "z" \n' }, Number(value));
      metrics.observe('b_seconds', {}, 0.5);
      texts.push({ value, text: await metrics.render() });
    }
    assert.deepEqual(mergeExpositions('worker', texts).split('\n'), [
      '# HELP a_total A.',
      '# TYPE a_total counter',
      'a_total{worker="1",kind="x {y} \\"z\\" \\n"} 1',
      'a_total{worker="2",kind="x {y} \\"z\\" \\n"} 2',
      '# HELP b_seconds B {x} y.',
      '# TYPE b_seconds histogram',
      ...['1', '2'].flatMap((worker) => [
        `b_seconds_bucket{worker="${worker}",le="1"} 1`,
        `b_seconds_bucket{worker="${worker}",le="+Inf"} 1`,
        `b_seconds_sum{worker="${worker}"} 0.5`,
        `b_seconds_count{worker="${worker}"} 1`,
      ]),
      '',
    ]);
  });

  test('a family that only a later part has is not lost, and empty parts are nothing', () => {
    const merged = mergeExpositions('worker', [
      { value: '1', text: '' },
      { value: '2', text: '# HELP c C.\n# TYPE c gauge\nc 1\n' },
    ]);
    assert.equal(merged, '# HELP c C.\n# TYPE c gauge\nc{worker="2"} 1\n');
  });
});
