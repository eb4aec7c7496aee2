/** Three services on one PostgreSQL that are told of each other: what a receipt says holds on all of them, and soon. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertQuiet, login, logout, register, worth } from '../service/support/suite.ts';
import { receiptOf, tokensOf } from '../support/http.ts';
import { type RunningService, randomSecret, sharedPostgres, startService, until } from '../support/service.ts';

const clusterSecret = randomSecret();
const common = {
  JWT_SECRET: randomSecret(),
  PUBLIC_URL: 'http://auth.example.org',
  ENABLE_CLUSTERING: 'true',
  CLUSTER_SECRET: clusterSecret,
  CLUSTER_ADDRESS: '127.0.0.1',
  CLUSTER_PORT: '0',
  REVOCATION_MAX_STALENESS: '3',
};

interface ClusterCheck {
  readonly status: string;
  readonly linked?: number;
  readonly not_linked?: readonly string[];
}

async function clusterCheck(service: RunningService): Promise<ClusterCheck> {
  const { body } = await service.api.get('/health');
  return (body as { checks: { cluster: ClusterCheck } }).checks.cluster;
}

const linksOf = (service: RunningService, count: number) =>
  until(`${count} links`, async () => (await clusterCheck(service)).linked === count);

/** How many messages of a kind a node has counted. */
async function messages(service: RunningService, direction: string, type: string): Promise<number> {
  const page = (await service.api.get('/metrics')).text;
  const line = page
    .split('\n')
    .find((one) => one.startsWith(`auth_cluster_messages_total{direction="${direction}",type="${type}"}`));
  assert.ok(line !== undefined, page.slice(0, 200));
  return Number(line.split(' ').at(-1));
}

/** Logs out on one node while all of them are asked; answers what was wrong. */
async function revokeAndAsk(nodes: readonly RunningService[], at: number) {
  const here = nodes[at % nodes.length] as RunningService;
  const account = await register(here);
  const token = account.tokens.access_token;
  for (const node of nodes) assert.equal(await worth(node, token), 'valid');
  let answeredAt = Number.POSITIVE_INFINITY;
  let violations = 0;
  let asked = 0;
  let asking = true;
  const askers = nodes.map(async (node) => {
    while (asking) {
      const sentAt = performance.now();
      const verdict = await worth(node, token);
      asked += 1;
      if (verdict === 'valid' && sentAt > answeredAt) violations += 1;
    }
  });
  const began = performance.now();
  const receipt = receiptOf(await logout(here, token));
  const tookMs = performance.now() - began;
  if (receipt.effective_everywhere) answeredAt = performance.now();
  for (const node of nodes)
    assert.equal(receipt.effective_everywhere ? await worth(node, token) : 'revoked', 'revoked');
  asking = false;
  await Promise.all(askers);
  return { receipt, tookMs, violations, asked };
}

describe('three nodes that are told of each other', () => {
  let nodes: RunningService[] = [];
  let databaseUrl: string;
  const start = (name: string, env: Readonly<Record<string, string>> = {}) =>
    startService({ store: 'postgres', databaseUrl, env: { ...common, NODE_NAME: name, ...env } });

  before(async () => {
    databaseUrl = await (await sharedPostgres()).createDatabase();
    nodes = await Promise.all(['a', 'b', 'c'].map((name) => start(name)));
    for (const node of nodes) node.secrets.add(clusterSecret);
    await Promise.all(nodes.map((node) => linksOf(node, 2)));
  });
  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  });

  test('REV-01 what a receipt says is true on all of them while they are asked, and peers acknowledge by message', async () => {
    const [a] = nodes as [RunningService];
    const before = await messages(a, 'received', 'acknowledgement');
    let everywhere = 0;
    for (let round = 0; round < 30; round += 1) {
      const { receipt, violations, asked } = await revokeAndAsk(nodes, round);
      assert.equal(violations, 0);
      assert.ok(asked > 0);
      if (receipt.effective_everywhere) everywhere += 1;
    }
    assert.ok(everywhere >= 28, `${everywhere} of 30 were in force everywhere when they were answered`);
    assert.ok((await messages(a, 'received', 'acknowledgement')) >= before + 10, 'two peers acknowledged ten hints');
    for (const node of nodes) assert.equal((await clusterCheck(node)).status, 'ok');
  });

  test('CFG-07 a node with another CLUSTER_SECRET is never linked; it says so once, and receipts are right with it', async () => {
    const stranger = await start('stranger', { CLUSTER_SECRET: randomSecret() });
    const [a] = nodes as [RunningService];
    await until('a refusal', async () => (await messages(stranger, 'sent', 'refused')) >= 3);
    assert.equal((await clusterCheck(stranger)).linked, 0);
    await until('health to tell', async () => (await clusterCheck(a)).not_linked?.includes('stranger') === true);
    for (let round = 0; round < 5; round += 1) {
      const { receipt, violations } = await revokeAndAsk([...nodes, stranger], round);
      assert.deepEqual([violations, receipt.effective_everywhere], [0, true]);
    }
    const lines = stranger
      .logs()
      .split('\n')
      .filter((line) => line.includes('another CLUSTER_SECRET'));
    assert.ok(lines.length >= 1 && lines.length <= 6, lines.join('\n'));
    assert.equal(await stranger.stop(), 0);
    await until('health', async () => (await clusterCheck(a)).status === 'ok');
  });

  test('a CLUSTER_PORT that is taken stops the start with one line that names it', async () => {
    const [a] = nodes as [RunningService];
    const { body } = await a.api.get('/cluster/status');
    const address = (body as { nodes: { name: string; address: string }[] }).nodes.find(
      ({ name }) => name === 'a',
    )?.address;
    const port = address?.split(':')[1];
    assert.match(port ?? '', /^[0-9]+$/, 'the status tells where the mesh listens');
    const { code, stdout, stderr } = await a.cli(['start'], {
      env: { NODE_NAME: 'late', PORT: '0', CLUSTER_PORT: port },
    });
    assert.equal(code, 1);
    assert.match(`${stdout}${stderr}`, new RegExp(`CLUSTER_PORT ${port} is in use`));
  });

  test('a node that is frozen is named until its lease ends, and refuses what it missed as it thaws', async () => {
    const [a, b, c] = nodes as [RunningService, RunningService, RunningService];
    const account = await register(a);
    const { access_token: token } = tokensOf(await login(a, account));
    assert.equal(await worth(c, token), 'valid');
    c.signal('SIGSTOP');
    const receipt = receiptOf(await logout(a, token));
    assert.deepEqual([receipt.effective_everywhere, receipt.pending_nodes], [false, ['c']]);
    assert.equal(await worth(b, token), 'revoked');
    await until('the link to be given up', async () => (await clusterCheck(a)).linked === 1);
    c.signal('SIGCONT');
    const verdict = await worth(c, token).catch(() => 'stale');
    assert.notEqual(verdict, 'valid');
    await until('the links', async () => (await clusterCheck(c)).linked === 2);
    assert.equal(await worth(c, token), 'revoked');
  });

  test('a node that is killed is gone for the others, and is linked again as it returns', async () => {
    const [a, b, c] = nodes as [RunningService, RunningService, RunningService];
    await c.kill9();
    await until('its end', async () => (await clusterCheck(a)).linked === 1);
    const { receipt, violations } = await revokeAndAsk([a, b], 0);
    assert.deepEqual([violations, receipt.effective_everywhere, receipt.pending_nodes], [0, false, ['c']]);
    await c.start();
    await Promise.all(nodes.map((node) => linksOf(node, 2)));
    await until('receipts without it', async () => (await revokeAndAsk(nodes, 1)).receipt.effective_everywhere);
  });

  test('where no node reaches another on CLUSTER_PORT the ledger alone keeps receipts right', async () => {
    for (const node of nodes) assert.equal(await node.halt(), 0);
    // What they tell is an address for documentation: nobody is there.
    await Promise.all(nodes.map((node) => node.start({ CLUSTER_ADDRESS: '192.0.2.1' })));
    const [a] = nodes as [RunningService];
    await Promise.all(
      nodes.map((node) =>
        until('three leases', async () => ((await clusterCheck(node)) as { nodes?: number }).nodes === 3),
      ),
    );
    for (let round = 0; round < 6; round += 1) {
      const { receipt, violations } = await revokeAndAsk(nodes, round);
      assert.deepEqual([violations, receipt.effective_everywhere], [0, true]);
    }
    assert.equal((await clusterCheck(a)).linked, 0);
    for (const node of nodes) {
      assert.equal(await node.halt(), 0);
      assertQuiet(node);
    }
  });
});
