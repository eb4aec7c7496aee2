/** The feed by mutual TLS: the service serves HTTPS with two workers, and a guard in another process shows it a certificate. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { login, logout, metricsOf, newEmail, newPassword, register } from '../service/support/suite.ts';
import { type CertificatePair, createCertificateAuthority } from '../support/certificates.ts';
import { tokensOf } from '../support/http.ts';
import { type RunningService, startService, until } from '../support/service.ts';

const feed = '/api/auth/revocations/feed';
const admin = { email: newEmail('admin'), password: newPassword() };
const folder = mkdtempSync(join(tmpdir(), 'mutual-tls-'));
const servers = createCertificateAuthority('servers');
const clients = createCertificateAuthority('clients');

function written(
  name: string,
  { cert, key }: CertificatePair,
): { readonly certFile: string; readonly keyFile: string } {
  const files = { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}-key.pem`) };
  writeFileSync(files.certFile, cert);
  writeFileSync(files.keyFile, key);
  return files;
}

describe('the feed by mutual TLS', () => {
  let service: RunningService;
  const agents: Agent[] = [];
  before(async () => {
    const { certFile, keyFile } = written('service', servers.issue('127.0.0.1'));
    const clientCaFile = join(folder, 'clients.pem');
    writeFileSync(clientCaFile, clients.cert);
    service = await startService({
      store: 'postgres',
      ca: servers.cert,
      env: {
        ...{ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile, TLS_CLIENT_CA_FILE: clientCaFile },
        ...{ BOOTSTRAP_ADMIN_EMAIL: admin.email, BOOTSTRAP_ADMIN_PASSWORD: admin.password, WORKERS: '2' },
      },
    });
  });
  after(async () => {
    for (const agent of agents) agent.destroy();
    await service.stop();
    rmSync(folder, { recursive: true });
  });

  interface Seen {
    readonly status: number;
    readonly code: string | undefined;
    readonly detail: string | undefined;
    readonly closes: boolean;
  }

  /** On a connection of its own. */
  function ask(pair: CertificatePair | undefined, path = feed, authorization?: string): Promise<Seen> {
    const headers = authorization === undefined ? {} : { Authorization: authorization };
    return new Promise((resolve, reject) => {
      const how = { ...pair, ca: servers.cert, agent: false, headers } as const;
      get(`${service.url}${path}`, how, (response) => {
        let text = '';
        response.on('data', (part) => (text += String(part)));
        response.on('end', () => {
          const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
          const closes = response.headers.connection === 'close';
          resolve({ status: response.statusCode ?? 0, code, detail, closes });
        });
      }).on('error', reject);
    });
  }
  const codeOf = async (...asked: Parameters<typeof ask>): Promise<string> => {
    const { status, code } = await ask(...asked);
    return `${status} ${code ?? ''}`.trim();
  };
  const good = clients.issue('orders', { use: 'client' });

  test('a certificate of the authority reads the feed, on every worker, and opens nothing else', async () => {
    for (let round = 0; round < 8; round += 1) assert.equal(await codeOf(good), '200');
    for (const path of ['/api/auth/me', '/api/admin/users', '/api/admin/audit-events', '/api/auth/sessions']) {
      assert.equal(await codeOf(good, path), '401 missing_token');
    }
    const { securitySchemes } = ((await service.api.document()) as unknown as { components: Record<string, object> })
      .components as { securitySchemes: object };
    assert.ok('certificate' in securitySchemes);
    const counted = await metricsOf(service);
    assert.equal(counted.sum('auth_client_certificates_total', { result: 'valid' }), 8);
  });

  test('DOS-08 without one, or with one that is not good, it is 401, and nothing is made up for by what it is', async () => {
    assert.equal(await codeOf(undefined), '401 missing_token');
    const foreign = createCertificateAuthority('clients').issue('orders', { use: 'client' });
    const expired = clients.issue('orders', { use: 'client', to: new Date(Date.now() - 60_000) });
    for (const [pair, said] of [
      [foreign, /of no authority/],
      [servers.issue('127.0.0.1'), /of no authority/],
      [expired, /expired/],
      [clients.issue('orders', { use: 'server' }), /not for clients/],
    ] as const) {
      const { status, code, detail, closes } = await ask(pair);
      assert.deepEqual([status, code, closes], [401, 'invalid_token', true]);
      assert.match(detail ?? '', said);
    }
  });

  test('a credential besides is judged as ever, whatever the certificate is worth', async () => {
    const { access_token: token } = tokensOf(await login(service, admin));
    const key = async (permissions: readonly string[]): Promise<string> => {
      const answer = await service.api.post('/api/admin/api-keys', { name: 'feed', permissions }, { token });
      return (answer.body as { secret: string }).secret;
    };
    const [reader, other] = [await key(['revocations:read']), await key(['users:read'])];
    const foreign = createCertificateAuthority('clients').issue('orders', { use: 'client' });
    assert.equal(await codeOf(foreign, feed, `Bearer ${reader}`), '200');
    assert.equal(await codeOf(good, feed, `Bearer ${other}`), '403 insufficient_permissions');
    assert.equal(await codeOf(good, feed, 'Bearer nonsense'), '401 invalid_token');
    assert.equal(await codeOf(good, feed, 'Basic YTpi'), '401 invalid_token');
  });

  test('a stream ends with its certificate', async () => {
    const pair = clients.issue('orders', { use: 'client', to: new Date(Date.now() + 2_500) });
    const agent = new Agent({ keepAlive: true, ca: servers.cert, ...pair });
    agents.push(agent);
    const streams = new Promise<{ status: number; text: string }>((resolve, reject) => {
      let text = '';
      get(`${service.url}${feed}`, { agent, headers: { Accept: 'text/event-stream' } }, (response) => {
        response.on('data', (part) => (text += String(part)));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      }).on('error', reject);
    });
    const { status, text } = await streams;
    assert.equal(status, 200);
    assert.match(text, /full_set/);
    assert.equal(await codeOf(pair), '401 invalid_token');
  });

  test('REV-01 a guard in another process follows by it, and refuses a token that was logged out', async () => {
    const caFile = join(folder, 'servers.pem');
    writeFileSync(caFile, servers.cert);
    const { body } = await service.api.get('/.well-known/oauth-authorization-server');
    const { issuer, access_token_audience: audience } = body as { issuer: string; access_token_audience: string };
    const program = fork(fileURLToPath(new URL('programs/guarded.ts', import.meta.url)));
    try {
      const listening = new Promise<number>((resolve, reject) => {
        program.once('message', (port) => resolve(port as number));
        program.once('exit', () => reject(new Error('the guarded service ended')));
      });
      const certificate = { ...written('orders', good), caFile };
      program.send({ issuer, audience, serviceUrl: service.url, certificate });
      const port = await listening;
      const call = async (token: string): Promise<number> => {
        const headers = { Authorization: `Bearer ${token}` };
        const response = await fetch(`http://127.0.0.1:${port}/`, { headers });
        await response.body?.cancel();
        return response.status;
      };
      const { tokens } = await register(service);
      assert.equal(await call(tokens.access_token), 200);
      await until('the stream', async () => (await metricsOf(service)).sum('auth_revocation_feed_listeners') > 0);
      await logout(service, tokens.access_token);
      await until('the refusal', async () => (await call(tokens.access_token)) === 401, 5_000);
    } finally {
      program.kill('SIGKILL');
    }
  });
});
