import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import {
  type CertificateAuthority,
  type CertificatePair,
  createCertificateAuthority,
} from '../../../../../tests/support/certificates.ts';
import { certificateOf, createCertificateWatch } from './client-certificate.ts';
import { defineRoute } from './index.ts';
import { startTestServer, type TestServer } from './testing.ts';
import { readAuthorities } from './tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'client-certificate-'));
const files = {
  certFile: join(folder, 'cert.pem'),
  keyFile: join(folder, 'key.pem'),
  clientCaFile: join(folder, 'clients.pem'),
};
const servers = createCertificateAuthority('servers');
const clients = createCertificateAuthority('clients');

/** What the listener thinks of the certificate: the answer's whole body. */
const whoami = defineRoute({
  ...{ method: 'GET', path: '/whoami', summary: 'Who am I', tags: ['test'], limit: null, unknownFields: 'ignore' },
  access: { kind: 'public' },
  answers: { 200: { description: 'What is thought of the certificate.' } },
  errors: [],
  handle: ({ certificate }) => ({
    status: 200,
    body: { shown: certificate !== null, problem: certificate?.problem() ?? null },
  }),
});

describe('client certificates of a listener', () => {
  let server: TestServer;
  let port: number;
  let aheadMs = 0;
  const open: (Agent | TLSSocket)[] = [];
  before(async () => {
    trust(clients);
    const own = servers.issue('127.0.0.1');
    writeFileSync(files.certFile, own.cert);
    writeFileSync(files.keyFile, own.key);
    server = await startTestServer({ routes: [whoami], wallMs: () => Date.now() + aheadMs });
    ({ port } = await server.http.listen({ host: '127.0.0.1', port: 0, tls: { ...files, checkIntervalMs: 5 } }));
  });
  after(async () => {
    for (const one of open) one.destroy();
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  const agentOf = (pair?: CertificatePair): Agent => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: servers.cert, ...pair });
    open.push(agent);
    return agent;
  };
  const ask = (agent: Agent): Promise<{ text: string; connection: string }> =>
    new Promise((resolve, reject) => {
      const request = httpsRequest({ host: '127.0.0.1', port, path: '/whoami', agent }, (response) => {
        let text = '';
        const connection = String(response.socket.localPort);
        response.on('data', (part) => (text += String(part)));
        response.on('end', () => resolve({ text, connection }));
      });
      request.on('error', reject).end();
    });
  const thoughtOf = async (pair?: CertificatePair): Promise<string> => (await ask(agentOf(pair))).text;
  const good = '{"shown":true,"problem":null}';
  const bad = (problem: string) => `{"shown":true,"problem":"${problem}"}`;

  test('one of an authority here is good, also for several requests; without one a client is like any other', async () => {
    const agent = agentOf(clients.issue('orders', { use: 'client' }));
    const first = await ask(agent);
    assert.deepEqual([first.text, await ask(agent)], [good, first]);
    assert.equal(await thoughtOf(clients.issue('says nothing of its use')), good);
    assert.equal(await thoughtOf(), '{"shown":false,"problem":null}');
  });

  test('foreign, expired, not begun, made for servers or self-made is not good, and connects all the same', async () => {
    const day = 86_400_000;
    const at = (days: number) => new Date(Date.now() + days * day);
    // The same name as the authority that is trusted, and another key.
    assert.equal(await thoughtOf(createCertificateAuthority('clients').issue('a', { use: 'client' })), bad('unknown'));
    assert.equal(await thoughtOf(servers.issue('a', { use: 'client' })), bad('unknown'));
    assert.equal(await thoughtOf(clients.issue('a', { use: 'server' })), bad('wrong_use'));
    assert.equal(await thoughtOf(clients.issue('a', { use: 'client', from: at(-2), to: at(-1) })), bad('expired'));
    assert.equal(await thoughtOf(clients.issue('a', { use: 'client', from: at(1) })), bad('not_yet_valid'));
  });

  test('a connection that is kept alive is good no longer than its certificate', async () => {
    const agent = agentOf(clients.issue('a', { use: 'client', to: new Date(Date.now() + 3_600_000) }));
    const first = await ask(agent);
    aheadMs = 3_599_000;
    assert.deepEqual([first.text, await ask(agent)], [good, first]);
    aheadMs = 3_601_000;
    assert.deepEqual(await ask(agent), { text: bad('expired'), connection: first.connection });
    aheadMs = 0;
  });

  test('an authority that is taken out of the file is out: on connections of before, and on those that are just being made', async () => {
    const other = createCertificateAuthority('others');
    const [ofClients, ofOther] = [clients, other].map((one) => agentOf(one.issue('a', { use: 'client' })));
    assert.ok(ofClients !== undefined && ofOther !== undefined);
    const before = await ask(ofClients);
    assert.equal((await ask(ofOther)).text, bad('unknown'));
    const halfWay = await halfWayHandshake(clients);
    await changeTo(other);
    assert.deepEqual(await ask(ofClients), { text: bad('changed'), connection: before.connection });
    assert.match(await halfWay.finish(), /"problem":"changed"/);
    assert.equal(await thoughtOf(clients.issue('a', { use: 'client' })), bad('unknown'));
    assert.equal(await thoughtOf(other.issue('a', { use: 'client' })), good);
    // What is half written, or no authority, changes nothing.
    for (const text of [
      other.cert.slice(0, -60),
      other.issue('a').cert,
      '',
      `${other.cert}${clients.cert.slice(0, 200)}`,
    ]) {
      const seen = count('the changed TLS certificate is not used');
      writeFileSync(files.clientCaFile, text);
      await until(() => count('the changed TLS certificate is not used') > seen);
      assert.equal(await thoughtOf(other.issue('a', { use: 'client' })), good);
    }
    await changeTo(clients);
  });

  test('no session is resumed, so that each connection has shown and proven its certificate', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const pair = clients.issue('a', { use: 'client' });
      const options = { host: '127.0.0.1', port, ca: servers.cert, ...pair, maxVersion };
      const sessions: Buffer[] = [];
      const first = connect(options);
      open.push(first);
      first.on('session', (session: Buffer) => sessions.push(session));
      await answerOn(first);
      const session = sessions.at(-1) ?? first.getSession();
      assert.ok(session !== undefined, 'there is something to try it with');
      const second = connect({ ...options, session });
      open.push(second);
      await once(second, 'secureConnect');
      assert.deepEqual([second.getProtocol(), second.isSessionReused()], [maxVersion, false]);
      assert.match(await answerOn(second), /"problem":null/);
    }
  });

  test('a connection to another address of this machine, from the same port, makes no older handshake a newer one', () => {
    const watch = createCertificateWatch(() => 0);
    const peer = { remoteAddress: '192.0.2.9', remotePort: 5_000, localPort: 443 };
    const begin = (localAddress: string) => {
      const raw = Object.assign(new EventEmitter(), { ...peer, localAddress });
      watch.begun(raw as unknown as Socket);
    };
    const getPeerCertificate = () => ({ raw: Buffer.from('x'), valid_to: 'Jan 1 00:00:00 2100 GMT' });
    const old = { ...peer, localAddress: '192.0.2.1', authorized: true, getPeerCertificate };
    begin('192.0.2.1');
    watch.authoritiesChanged();
    begin('192.0.2.2');
    watch.secured(old as unknown as TLSSocket);
    assert.equal(certificateOf(old)?.problem(), 'changed');
  });

  test('a file of authorities holds certificates of authorities, at least one, and nothing half', () => {
    assert.equal(readAuthorities(`# comment\n${clients.cert}\nmore\n${servers.cert}`).length, 2);
    for (const text of [
      '',
      'x',
      clients.issue('a').cert,
      clients.cert.slice(0, 300),
      `${clients.cert}${servers.issue('a').key}`,
    ])
      assert.throws(() => readAuthorities(text));
  });

  const count = (message: string): number => server.logged.filter((one) => one.message === message).length;

  function trust(authority: CertificateAuthority): void {
    writeFileSync(files.clientCaFile, authority.cert);
  }

  async function changeTo(authority: CertificateAuthority): Promise<void> {
    const seen = count('the TLS certificate was changed and is in use');
    trust(authority);
    await until(() => count('the TLS certificate was changed and is in use') > seen);
  }

  /** A handshake of which the listener has the beginning: the rest of the client's words is held back. */
  async function halfWayHandshake(authority: CertificateAuthority): Promise<{ finish(): Promise<string> }> {
    let isAnswered = false;
    let free = (): void => undefined;
    const relay = createServer((near) => {
      const far = connectPlain(port, '127.0.0.1');
      far.once('data', () => (isAnswered = true));
      far.pipe(near);
      near.once('data', (hello) => {
        far.write(hello);
        near.pause();
        free = () => near.pipe(far);
      });
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    const { port: relayed } = relay.address() as AddressInfo;
    const pair = authority.issue('a', { use: 'client' });
    const socket = connect({ host: '127.0.0.1', port: relayed, ca: servers.cert, ...pair });
    open.push(socket);
    await until(() => isAnswered);
    return {
      finish() {
        free();
        relay.close();
        return answerOn(socket);
      },
    };
  }
});

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail('it never came to be');
}

function answerOn(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (part) => (text += String(part)));
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
    socket.write('GET /whoami HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  });
}
