/** The strategy `kubernetes` against an API server that checks token, authority and selector, and can misbehave. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCertificateAuthority } from '../../../../../tests/support/certificates.ts';
import { type Behaviour, startKubernetesApi, type TestPod } from '../../../../../tests/support/kubernetes-api.ts';
import { systemRandom } from '../../platform/random/index.ts';
import { systemTimers } from '../../platform/time/index.ts';
import type { PeerAddress } from './discovery.ts';
import { createKubernetesDiscovery, type KubernetesLook } from './kubernetes.ts';

const folder = '/var/run/secrets/kubernetes.io/serviceaccount';
const pod = (podIP: string | undefined, changes: Partial<TestPod> = {}): TestPod => ({
  name: `auth-${podIP}`,
  namespace: 'auth',
  labels: { app: 'auth-service' },
  phase: 'Running',
  ...(podIP === undefined ? {} : { podIP }),
  ...changes,
});

/** A node in a pod; `limitMs` is what its look may take, where a test waits for that. */
async function openBench(changes: Partial<KubernetesLook> = {}, limitMs = 5_000, certificateFor?: string) {
  const api = await startKubernetesApi(certificateFor);
  const files = new Map([
    [`${folder}/ca.crt`, api.ca],
    [`${folder}/token`, `${api.token}\n`],
    [`${folder}/namespace`, 'auth'],
  ]);
  const told: (readonly PeerAddress[])[] = [];
  const states: string[] = [];
  const discovery = createKubernetesDiscovery(
    { selector: 'app=auth-service', namespace: undefined, port: 4370, apiServer: api, ...changes },
    {
      self: () => ({ host: '10.0.0.1', port: 4370 }),
      readFile: async (path) => {
        const text = files.get(path);
        if (text === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' });
        return text;
      },
      onFound: (peers) => told.push(peers),
      onState: (state, reason) => states.push(`${state}: ${reason}`),
      timers: { after: (ms, run) => systemTimers.after(ms === 5_000 ? limitMs : ms / 50, run) },
      random: systemRandom,
    },
  );
  return {
    api,
    files,
    told,
    states,
    start: () => discovery.start(),
    async [Symbol.asyncDispose]() {
      await discovery.stop();
      await api.stop();
    },
  };
}

describe('kubernetes', () => {
  test('tells the pods of the selector and namespace that have an address and have not ended, ready or not, but not its own', async () => {
    await using bench = await openBench();
    bench.api.pods = [
      pod('10.0.0.1'),
      pod('10.0.0.2'),
      pod('10.0.0.3', { phase: 'Pending' }),
      pod('10.0.0.4', { phase: 'Succeeded' }),
      pod('10.0.0.5', { phase: 'Failed' }),
      pod(undefined, { phase: 'Pending' }),
      pod('10.0.0.6', { labels: { app: 'another' } }),
      pod('10.0.0.7', { namespace: 'another' }),
      pod('10.0.0.8', { phase: 'Unknown' }),
      pod('fd00::9'),
    ];
    await bench.start();
    await until(() => bench.told.length > 0);
    assert.deepEqual(
      bench.told[0]?.map(({ host, port }) => `${host} ${port}`),
      ['10.0.0.2 4370', '10.0.0.3 4370', '10.0.0.8 4370', 'fd00::9 4370'],
    );
  });

  test('reads a list of several pages', async () => {
    await using bench = await openBench();
    bench.api.pods = Array.from({ length: 120 }, (_, index) => pod(`10.0.1.${index + 1}`));
    await bench.start();
    await until(() => bench.told.length > 0);
    assert.equal(bench.told[0]?.length, 120);
    assert.equal(bench.api.asked.slice(0, 3).filter(({ line }) => /limit=50/.test(line)).length, 3);
  });

  test('a namespace that is set wins over the own one, and a selector is quoted as it must be', async () => {
    await using bench = await openBench({ namespace: 'other', selector: 'app=auth-service,tier in (a, b)' });
    await bench.start();
    await until(() => bench.api.asked.length > 0);
    const url = new URL(bench.api.asked[0]?.line.slice(4) ?? '', 'https://api');
    assert.equal(url.pathname, '/api/v1/namespaces/other/pods');
    assert.equal(url.searchParams.get('labelSelector'), 'app=auth-service,tier in (a, b)');
  });

  test('the token is read anew for each look, and is in no reason', async () => {
    await using bench = await openBench();
    bench.api.pods = [pod('10.0.0.2')];
    await bench.start();
    await until(() => bench.told.length > 0);
    bench.api.token = 'the-next-token';
    await until(() => bench.states.length === 2);
    assert.match(bench.states[1] ?? '', /failing: the Kubernetes API: answered 401: the token .* is not accepted/);
    bench.files.set(`${folder}/token`, bench.api.token);
    await until(() => bench.states.length === 3);
    assert.deepEqual(new Set(bench.api.asked.map(({ token }) => token)), new Set(['a-token', 'the-next-token']));
    assert.ok(!/a-token|next-token/.test(bench.states.join()));
  });

  test('CFG-07 a server that is not of the cluster is told nothing, the token least of all', async () => {
    await using bench = await openBench();
    bench.files.set(`${folder}/ca.crt`, createCertificateAuthority('another').cert);
    await bench.start();
    await until(() => bench.states.length > 0);
    assert.match(bench.states[0] ?? '', /failing: the Kubernetes API: no answer \(.*(SIGNATURE|SELF_SIGNED|UNABLE)/);
    assert.deepEqual(bench.api.asked, []);
  });

  test('CFG-07 a certificate for another name is not accepted', async () => {
    await using bench = await openBench({}, 5_000, 'api.example.com');
    await bench.start();
    await until(() => bench.states.length > 0);
    assert.match(bench.states[0] ?? '', /no answer \(ERR_TLS_CERT_ALTNAME_INVALID\)/);
    assert.deepEqual(bench.api.asked, []);
  });

  for (const [behaviour, reason, limitMs] of [
    [{ status: 403 }, /answered 403: the service account may not list pods in auth$/, 5_000],
    [{ status: 500 }, /answered 500$/, 5_000],
    [{ status: 302, location: 'https://127.0.0.1:1/' }, /answered 302$/, 5_000],
    ['garbage', /its answer is no JSON$/, 5_000],
    ['no list', /its answer is no list of pods$/, 5_000],
    ['huge', /its answer is longer than \d+ bytes$/, 30_000],
    ['endless', /the selector picks more than 1000 pods$/, 30_000],
    ['broken', /its answer broke off|no answer/, 5_000],
    ['drip', /no answer within 5000 ms$/, 300],
    ['hang', /no answer within 5000 ms$/, 300],
  ] as readonly (readonly [Behaviour, RegExp, number])[]) {
    test(`${JSON.stringify(behaviour)} is one failure that is told, and what was found before stays found`, async () => {
      await using bench = await openBench({}, limitMs);
      bench.api.pods = [pod('10.0.0.2')];
      await bench.start();
      await until(() => bench.told.length > 0);
      bench.api.behaviour = behaviour;
      await until(() => bench.states.length === 2);
      assert.match(bench.states[1] ?? '', reason);
      await sleep(100);
      assert.equal(bench.states.length, 2);
      assert.ok(bench.told.every((peers) => peers.length === 1 && peers[0]?.host === '10.0.0.2'));
      bench.api.behaviour = 'right';
      await until(() => bench.states.length === 3);
    });
  }

  for (const [file, text] of [
    ['token', undefined],
    ['token', ' \n'],
    ['token', 'a\r\nHost: b'],
    ['ca.crt', undefined],
    ['ca.crt', 'no certificate'],
    ['namespace', undefined],
  ] as const) {
    test(`${file} that is ${JSON.stringify(text) ?? 'missing'} is told, and looked at again`, async () => {
      await using bench = await openBench();
      const path = `${folder}/${file}`;
      const right = bench.files.get(path) ?? '';
      bench.api.pods = [pod('10.0.0.2')];
      if (text === undefined) bench.files.delete(path);
      else bench.files.set(path, text);
      await bench.start();
      await until(() => bench.states.length === 1);
      assert.match(bench.states[0] ?? '', /^failing: the Kubernetes API: .{5,}/);
      bench.files.set(path, right);
      await until(() => bench.told.length > 0);
    });
  }
});

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 2_000; round++) {
    if (condition()) return;
    await sleep(10);
  }
  assert.fail('it never came to be');
}
