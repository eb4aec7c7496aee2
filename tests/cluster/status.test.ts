/** Three services on one PostgreSQL: each tells of all, and what runs once in the cluster is somewhere. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { jobNames } from '../../packages/server/src/singletons.ts';
import { type RunningService, randomSecret, sharedPostgres, startService, until } from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';

interface Status {
  readonly node: string;
  readonly clustering: boolean;
  readonly strategy: string | null;
  readonly size: number;
  readonly nodes: readonly {
    readonly name: string;
    readonly address: string | null;
    readonly status: string;
    readonly last_seen_ms: number;
    readonly lag_ms: number;
    readonly revocation_position: string | null;
    readonly load: Readonly<Record<string, number>>;
    readonly started_at: string;
  }[];
  readonly singletons: readonly {
    readonly name: string;
    readonly node: string | null;
    readonly since: string | null;
  }[];
}

const jobs = jobNames.toSorted();

describe('/cluster/status of three services', () => {
  const services = new Map<string, RunningService>();
  let env: Record<string, string>;
  let databaseUrl: string;
  const start = async (name: string): Promise<void> => {
    services.set(name, await startService({ store: 'postgres', databaseUrl, env: { ...env, NODE_NAME: name } }));
  };
  const one = (name: string): RunningService => {
    const service = services.get(name);
    assert.ok(service !== undefined);
    return service;
  };
  const statusOf = async (name: string): Promise<Status> =>
    (await one(name).api.get('/cluster/status')).body as unknown as Status;
  const standing = async (of: string, name: string): Promise<string | undefined> =>
    (await statusOf(of)).nodes.find((node) => node.name === name)?.status;
  const seconds = (since: number): number => (performance.now() - since) / 1_000;
  /** The nodes that have the jobs, when each job is at one of `names`. */
  const placesAt = async (of: string, names: readonly string[]): Promise<readonly string[] | undefined> => {
    const { singletons } = await statusOf(of);
    const places = singletons.map((job) => job.node ?? '');
    return places.length === jobs.length && places.every((node) => names.includes(node)) ? places : undefined;
  };

  before(async () => {
    databaseUrl = await (await sharedPostgres()).createDatabase();
    env = {
      JWT_SECRET: randomSecret(),
      PUBLIC_URL: 'http://auth.example.org',
      REVOCATION_MAX_STALENESS: '3',
      ENABLE_CLUSTERING: 'true',
      CLUSTER_SECRET: randomSecret(),
      CLUSTER_ADDRESS: '127.0.0.1',
      CLUSTER_PORT: '0',
    };
    await Promise.all([start('a'), start('b')]);
  });
  after(async () => {
    await Promise.all([...services.values()].map((service) => service.stop()));
  });

  test('every node tells the same nodes and the same places, with what each of them told of itself', async () => {
    await until('every job somewhere', () => placesAt('a', ['a', 'b']));
    const [ofA, ofB] = [await statusOf('a'), await statusOf('b')];
    for (const status of [ofA, ofB]) {
      assert.deepEqual([status.clustering, status.strategy, status.size], [true, 'postgres', 2]);
      assert.deepEqual(
        status.nodes.map((node) => [node.name, node.status]),
        [
          ['a', 'up'],
          ['b', 'up'],
        ],
      );
      assert.deepEqual(
        status.singletons.map((job) => job.name),
        jobs,
      );
      for (const node of status.nodes) {
        assert.ok(
          node.last_seen_ms < besideOthers(4_000) &&
            node.lag_ms < besideOthers(4_000) &&
            node.revocation_position !== null,
        );
        assert.deepEqual(Object.keys(node.load).toSorted(), ['event_loop', 'heap_mb', 'requests_per_s']);
        assert.ok((node.load['heap_mb'] ?? 0) > 0);
        assert.match(node.address ?? '', /^127\.0\.0\.1:[0-9]+$/);
      }
    }
    assert.deepEqual([ofA.node, ofB.node], ['a', 'b']);
  });

  test('a node that joins is listed everywhere soon after its first answer', async () => {
    await start('c');
    const since = performance.now();
    for (const at of ['a', 'b', 'c']) await until(`c on ${at}`, async () => (await standing(at, 'c')) === 'up');
    assert.ok(seconds(since) < besideOthers(3), `${seconds(since)} s`);
  });

  test('a node that is killed is down on the others when its lease has ended, and its jobs are elsewhere', async (t) => {
    await one('b').kill9();
    const since = performance.now();
    for (const at of ['a', 'c']) await until(`b down on ${at}`, async () => (await standing(at, 'b')) === 'down');
    const downSeconds = seconds(since);
    const places = await until('its jobs', () => placesAt('a', ['a', 'c']));
    t.diagnostic(`down after ${downSeconds.toFixed(1)} s, jobs elsewhere after ${seconds(since).toFixed(1)} s`);
    assert.ok(downSeconds < besideOthers(5), `${downSeconds} s`);
    assert.ok(seconds(since) < besideOthers(10), `${seconds(since)} s`);
    assert.deepEqual(await placesAt('c', ['a', 'c']), places);
    const metrics = String((await one('a').api.get('/metrics')).text);
    assert.match(metrics, /^auth_cluster_nodes\{status="down"\} 1$/m);
    assert.match(metrics, /^auth_cluster_nodes\{status="up"\} 2$/m);
  });

  test('a node that ends in good order is down at once, and leaves no job behind', async (t) => {
    const since = performance.now();
    assert.equal(await one('c').halt(), 0);
    const halted = performance.now();
    assert.equal(await standing('a', 'c'), 'down');
    await until('its jobs', () => placesAt('a', ['a']));
    t.diagnostic(
      `ended after ${((halted - since) / 1_000).toFixed(1)} s, jobs elsewhere ${seconds(halted).toFixed(1)} s later`,
    );
    const again = performance.now();
    await one('c').start();
    await until('it is back, once', async () => {
      const listed = (await statusOf('a')).nodes.filter((node) => node.name === 'c');
      return listed.length === 1 && listed[0]?.status === 'up';
    });
    assert.ok(seconds(again) < 60);
  });
});
