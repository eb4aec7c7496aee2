import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import type { Environment } from './platform/config/index.ts';
import { describeConfig, describeProblems, loadSettings } from './settings.ts';

const load = (environment: Environment) =>
  loadSettings(environment, {
    readFile: (path) => {
      if (path === '/readable/ca.pem') return 'authority';
      if (path === '/readable/password') return 'of a file\n';
      throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    },
    machine: { hostName: 'host', suffix: 'x', cores: 2, isTerminal: false },
  });

function addressOf(environment: Environment): unknown {
  const result = load(environment);
  assert.ok(result.ok, result.ok ? '' : describeProblems(result.problems).join('\n'));
  // Without the members that are not set.
  return JSON.parse(JSON.stringify(result.settings.redis?.connection.reveal() ?? null)) as unknown;
}

function refused(environment: Environment, ...starts: readonly string[]): void {
  const result = load(environment);
  assert.ok(!result.ok, `it was accepted: ${inspect(environment)}`);
  const lines = describeProblems(result.problems);
  assert.deepEqual(
    lines.map((line) => line.split(' ')[0]),
    starts,
    lines.join('\n'),
  );
  for (const line of lines) assert.match(line, /; \w/);
}

const server = (host: string, port: number) => ({ host, port });

describe('the address of Redis', () => {
  test('is none by default, and what Kubernetes injects is none either', () => {
    assert.equal(addressOf({}), null);
    assert.equal(addressOf({ REDIS_PORT: 'tcp://10.0.0.3:6379', REDIS_SERVICE_HOST: '10.0.0.3' }), null);
    assert.equal(addressOf({ REDIS_PREFIX: 'x:' }), null);
  });

  test('is one URL, a host, nodes of a Cluster, or Sentinels', () => {
    assert.deepEqual(addressOf({ REDIS_URL: 'redis://r' }), { kind: 'single', server: server('r', 6379), database: 0 });
    assert.deepEqual(addressOf({ REDIS_URL: 'rediss://u%40:p%2F@[::1]:7/3?ca=/readable/ca.pem' }), {
      ...{ kind: 'single', server: server('::1', 7), database: 3 },
      ...{ username: 'u@', password: 'p/', tls: { ca: 'authority' } },
    });
    assert.deepEqual(addressOf({ REDIS_URL: 'redis://r', REDIS_PASSWORD_FILE: '/readable/password' }), {
      ...{ kind: 'single', server: server('r', 6379), database: 0, password: 'of a file' },
    });
    assert.deepEqual(addressOf({ REDIS_HOST: '[::1]', REDIS_PASSWORD: 'p', REDIS_TLS: 'true' }), {
      ...{ kind: 'single', server: server('::1', 6379), password: 'p', tls: {} },
    });
    assert.deepEqual(addressOf({ REDIS_HOST: 'r', REDIS_PORT: 'tcp://10.0.0.3:6379' }), {
      ...{ kind: 'single', server: server('r', 6379) },
    });
    assert.deepEqual(addressOf({ REDIS_CLUSTER_NODES: 'a:1,b:2' }), {
      ...{ kind: 'cluster', nodes: [server('a', 1), server('b', 2)] },
    });
    const sentinels = { REDIS_SENTINELS: 'a:1,b:2', REDIS_SENTINEL_NAME: 'main', REDIS_SENTINEL_PASSWORD: 's' };
    assert.deepEqual(addressOf(sentinels), {
      ...{ kind: 'sentinel', sentinels: [server('a', 1), server('b', 2)], name: 'main', sentinelPassword: 's' },
    });
  });

  test('may be told twice alike, and not otherwise: one line for each contradiction', () => {
    const url = { REDIS_URL: 'redis://:p@r:7' };
    assert.ok(addressOf({ ...url, REDIS_HOST: 'r', REDIS_PORT: '7', REDIS_PASSWORD: 'p' }));
    refused({ ...url, REDIS_HOST: 'other' }, 'REDIS_HOST');
    refused({ ...url, REDIS_PORT: '6379' }, 'REDIS_PORT');
    refused({ ...url, REDIS_PASSWORD: 'q' }, 'REDIS_PASSWORD');
    refused({ ...url, REDIS_TLS: 'true' }, 'REDIS_TLS');
    refused({ ...url, REDIS_CLUSTER_NODES: 'a:1' }, 'REDIS_CLUSTER_NODES');
    refused(
      { REDIS_HOST: 'r', REDIS_SENTINELS: 'a:1', REDIS_CLUSTER_NODES: 'a:1' },
      'REDIS_CLUSTER_NODES',
      'REDIS_SENTINELS',
    );
    refused({ REDIS_CLUSTER_NODES: 'a:1', REDIS_PORT: '1' }, 'REDIS_PORT');
  });

  test('is whole: nothing of it stands alone', () => {
    refused({ REDIS_PORT: '6380' }, 'REDIS_PORT');
    refused({ REDIS_PASSWORD: 'p' }, 'REDIS_PASSWORD');
    refused({ REDIS_SENTINELS: 'a:1' }, 'REDIS_SENTINEL_NAME');
    refused({ REDIS_SENTINEL_NAME: 'main' }, 'REDIS_SENTINEL_NAME');
    refused({ REDIS_HOST: 'r', REDIS_SENTINEL_NAME: 'main' }, 'REDIS_SENTINEL_NAME');
    refused({ REDIS_HOST: 'r', REDIS_TLS_CA_FILE: '/readable/ca.pem' }, 'REDIS_TLS_CA_FILE');
    refused({ REDIS_HOST: 'r', REDIS_TLS: 'true', REDIS_TLS_CA_FILE: '/missing' }, 'REDIS_TLS_CA_FILE');
    refused({ REDIS_URL: 'rediss://r?ca=/missing' }, 'REDIS_URL');
    refused({ REDIS_URL: 'redis://r/name' }, 'REDIS_URL');
    refused({ REDIS_URL: 'redis://r?family=6' }, 'REDIS_URL');
    refused({ REDIS_URL: 'http://r' }, 'REDIS_URL');
    refused({ REDIS_CLUSTER_NODES: 'a' }, 'REDIS_CLUSTER_NODES');
    refused({ REDIS_PREFIX: 'a{b}:' }, 'REDIS_PREFIX');
  });

  test('CFG-04 is shown without its password', () => {
    const result = load({ REDIS_URL: 'redis://user:canary-of-redis@r:7/1', REDIS_PREFIX: 'p:' });
    assert.ok(result.ok);
    const shown = `${describeConfig(result.effective).join('\n')}${inspect(result.settings, { depth: 9 })}`;
    assert.ok(!shown.includes('canary'), shown);
    assert.match(shown, /REDIS_URL=redis:\/\/r:7\/1/);
  });
});
