import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { type CertificatePair, createCertificateAuthority } from '../../../tests/support/certificates.ts';
import { createGuard } from './create-guard.ts';
import { createMutualTls, type MutualTls } from './mutual-tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'guard-mutual-tls-'));
const files = { certFile: join(folder, 'cert'), keyFile: join(folder, 'key'), caFile: join(folder, 'ca') };
const servers = createCertificateAuthority('servers');
const clients = createCertificateAuthority('clients');

function write({ cert, key }: CertificatePair): void {
  writeFileSync(files.certFile, cert);
  writeFileSync(files.keyFile, key);
}

describe('a guard that shows a certificate', () => {
  let server: Server;
  let url: string;
  const made: MutualTls[] = [];
  const closed: string[] = [];
  before(async () => {
    write(clients.issue('first'));
    writeFileSync(files.caFile, servers.cert);
    const how = { ...servers.issue('127.0.0.1'), ca: clients.cert, requestCert: true };
    server = createServer(how, (request, response) => {
      const { path = '' } = { path: request.url };
      const name = (request.socket as TLSSocket).getPeerCertificate().subject.CN;
      response.on('close', () => closed.push(path));
      if (path === '/elsewhere') response.writeHead(302, { Location: '/' }).end();
      else if (path === '/odd') response.writeHead(999).end();
      else if (path === '/same') response.writeHead(304, { ETag: '"1"' }).end();
      else if (path === '/stream') response.writeHead(200).write(`of ${name}`);
      else {
        let body = '';
        request.on('data', (part) => (body += String(part)));
        const say = { name, method: request.method, accept: request.headers.accept };
        request.on('end', () => response.end(JSON.stringify({ ...say, body, port: request.socket.remotePort })));
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    for (const one of made) one.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });

  function make(options: Partial<Parameters<typeof createMutualTls>[0]> = {}): MutualTls {
    const one = createMutualTls({ ...files, ...options });
    made.push(one);
    return one;
  }
  const ask = async (by: MutualTls, init: RequestInit = {}) =>
    (await (await by.fetch(`${url}/`, init)).json()) as { name: string; method: string; body: string; port: number };

  test('sends method, headers and body, keeps its connection, and answers what came', async () => {
    const by = make();
    const init = { method: 'POST', headers: { Accept: 'a/b' }, body: '{"é":1}' };
    const first = await ask(by, init);
    const said = { name: 'first', method: 'POST', accept: 'a/b', body: '{"é":1}', port: first.port };
    assert.deepEqual([first, await ask(by, init)], [said, said]);
    const same = await by.fetch(`${url}/same`, {});
    assert.deepEqual([same.status, same.body, same.headers.get('etag')], [304, null, '"1"']);
  });

  test('shows a renewed certificate without a restart, and keeps the old one while the files are of no use', async () => {
    const refused: unknown[] = [];
    const by = make({ checkSeconds: 0, onRefused: (error) => refused.push(error) });
    const slow = make({ checkSeconds: 3_600 });
    assert.equal((await ask(by)).name, 'first');
    writeFileSync(files.keyFile, 'half a key');
    assert.deepEqual([(await ask(by)).name, (await ask(by)).name], ['first', 'first']);
    assert.equal(refused.length, 1, 'told once a change');
    rmSync(files.certFile);
    assert.equal((await ask(by)).name, 'first');
    write(clients.issue('second'));
    assert.equal((await ask(by)).name, 'second');
    assert.equal((await ask(slow)).name, 'first', 'it has not looked yet');
  });

  test('an answer of a status that is none rejects, and harms nothing else', async () => {
    const { fetch } = make();
    await assert.rejects(fetch(`${url}/odd`, {}), RangeError);
    assert.equal((await fetch(`${url}/`, {})).status, 200);
  });

  test('gives up when it is told to, before the answer and within it, and lets go of the connection', async () => {
    const by = make();
    const reason = new Error('enough');
    await assert.rejects(by.fetch(`${url}/`, { signal: AbortSignal.abort(reason) }), reason);
    const given = new AbortController();
    const response = await by.fetch(`${url}/stream`, { signal: given.signal });
    const reader = response.body?.getReader();
    const first = await reader?.read();
    assert.match(Buffer.from(first?.value ?? []).toString(), /^of /);
    given.abort(reason);
    await assert.rejects(async () => reader?.read());
    for (let turn = 0; !closed.includes('/stream'); turn += 1) {
      assert.ok(turn < 400, 'the connection is closed');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const cancelled = await by.fetch(`${url}/stream`, {});
    await cancelled.body?.cancel();
    by.close();
  });

  test('speaks to nobody but who proves to be the service, by https, and follows no redirect', async () => {
    const by = make();
    await assert.rejects(by.fetch(`${url}/elsewhere`, {}), /redirect/);
    await assert.rejects(by.fetch(url.replace('https', 'http'), {}), /https alone/);
    await assert.rejects(by.fetch(url.replace('127.0.0.1', 'localhost'), {}), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    writeFileSync(files.caFile, createCertificateAuthority('servers').cert);
    await assert.rejects(make().fetch(url, {}), { code: /CERT_SIGNATURE_FAILURE|UNABLE_TO_VERIFY/ });
    writeFileSync(files.caFile, servers.cert);
  });

  test('does not begin with files that are of no use, or where nothing would be shown', () => {
    assert.throws(() => createMutualTls({ ...files, certFile: join(folder, 'nowhere') }), { code: 'ENOENT' });
    assert.throws(() => createMutualTls({ ...files, keyFile: files.caFile }));
    assert.throws(() => createMutualTls({ ...files, caFile: files.keyFile }), /no certificate/);
    const mutualTls = make();
    const named = { audience: 'orders', mutualTls };
    assert.throws(() => createGuard({ ...named, issuer: 'http://127.0.0.1:1' }), TypeError);
    assert.throws(() => createGuard({ ...named, issuer: 'https://auth.example.org', fetch }), TypeError);
  });
});
