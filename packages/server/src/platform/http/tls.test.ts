import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { connect, type PeerCertificate } from 'node:tls';
import { startTestServer } from './testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'tls-'));
const certFile = join(folder, 'cert.pem');
const keyFile = join(folder, 'key.pem');

describe('TLS from files', () => {
  after(() => rmSync(folder, { recursive: true }));

  test('BRW-05 a changed certificate is in use without a restart, an unsound one is not, and answers say HSTS', async () => {
    const logged: string[] = [];
    const log = (_fields: unknown, message: string) => void logged.push(message);
    writePair('first');
    const server = await startTestServer({ log: { warn: log, error: log }, trustedHttps: () => false });
    const tls = { certFile, keyFile, checkIntervalMs: 10 };
    const { port, url } = await server.http.listen({ host: '127.0.0.1', port: 0, tls });
    assert.match(url, /^https:/);
    assert.match(await ask(port, 'first'), /\r\nStrict-Transport-Security: max-age=63072000; includeSubDomains\r\n/);

    writeFileSync(keyFile, 'half a key');
    await until(() => logged.includes('the changed TLS certificate is not used'));
    await ask(port, 'first');

    writePair('second');
    await until(() => logged.includes('the TLS certificate was changed and is in use'));
    await ask(port, 'second');
    await server.stop();
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail('it never came to be');
}

/** One request; the certificate must be of `name`. */
function ask(port: number, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const certificate: PeerCertificate = socket.getPeerCertificate();
      if (certificate.subject.CN !== name) reject(new Error(`the certificate is of ${String(certificate.subject.CN)}`));
      socket.write('POST /api/bare HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
    let received = '';
    socket.on('data', (chunk) => {
      received += String(chunk);
    });
    socket.on('close', () => resolve(received));
    socket.on('error', reject);
  });
}

/** A self-signed certificate (RFC 5280) with only what must be in it. */
function writePair(name: string): void {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = selfSigned(name, publicKey, privateKey).toString('base64');
  writeFileSync(
    certFile,
    `-----BEGIN CERTIFICATE-----\n${der.replaceAll(/(.{64})/g, '$1\n')}\n-----END CERTIFICATE-----\n`,
  );
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

function selfSigned(name: string, publicKey: KeyObject, privateKey: KeyObject): Buffer {
  const ecdsaWithSha256 = seq(hex('06082a8648ce3d040302'));
  const commonName = seq(tag(0x31, seq(hex('0603550403'), tag(0x0c, Buffer.from(name)))));
  const validity = seq(tag(0x18, Buffer.from('20200101000000Z')), tag(0x18, Buffer.from('20991231235959Z')));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const toSign = seq(hex('020101'), ecdsaWithSha256, commonName, validity, commonName, spki);
  const signature = sign('sha256', toSign, privateKey);
  return seq(toSign, ecdsaWithSha256, tag(0x03, Buffer.concat([hex('00'), signature])));
}

const hex = (digits: string): Buffer => Buffer.from(digits, 'hex');
const seq = (...parts: Buffer[]): Buffer => tag(0x30, Buffer.concat(parts));

function tag(kind: number, value: Buffer): Buffer {
  const size = value.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return Buffer.concat([Buffer.from([kind, ...length]), value]);
}
