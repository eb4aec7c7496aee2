/** Certificates (RFC 5280) for tests: an authority of one's own, and what it signs. Only what must be in them. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

export interface CertificatePair {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface CertificateAuthority {
  /** PEM, for who is to trust it. */
  readonly cert: string;
  /** For a server at `host`, a name or an IPv4 address; without `use` it says nothing of what it is for. */
  issue(host: string, options?: IssueOptions): CertificatePair;
}

export interface IssueOptions {
  readonly use?: 'client' | 'server';
  readonly from?: Date;
  readonly to?: Date;
}

export function createCertificateAuthority(name = 'test authority'): CertificateAuthority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // basicConstraints, critical: cA.
  const isAuthority = seq(hex('0603551d13'), hex('0101ff'), tag(0x04, seq(hex('0101ff'))));
  const cert = certificate(
    { issuer: name, subject: name, key: own.publicKey, extensions: [isAuthority] },
    own.privateKey,
  );
  return {
    cert,
    issue(host, { use, from, to } = {}) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names = isIPv4(host) ? tag(0x87, Buffer.from(host.split('.').map(Number))) : tag(0x82, Buffer.from(host));
      const extensions = [seq(hex('0603551d11'), tag(0x04, seq(names)))];
      if (use !== undefined) extensions.push(seq(hex('0603551d25'), tag(0x04, seq(hex(uses[use])))));
      return {
        cert: certificate({ issuer: name, subject: host, key: pair.publicKey, extensions, from, to }, own.privateKey),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

/** id-kp-clientAuth, id-kp-serverAuth. */
const uses = { client: '06082b06010505070302', server: '06082b06010505070301' } as const;

interface Contents {
  readonly issuer: string;
  readonly subject: string;
  readonly key: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

function certificate({ issuer, subject, key, extensions, from, to }: Contents, signer: KeyObject): string {
  const ecdsaWithSha256 = seq(hex('06082a8648ce3d040302'));
  const commonName = (text: string): Buffer => seq(tag(0x31, seq(hex('0603550403'), tag(0x0c, Buffer.from(text)))));
  const time = (date: Date | undefined, otherwise: string): Buffer =>
    tag(0x18, Buffer.from(date === undefined ? otherwise : date.toISOString().replaceAll(/[-:T]|\.\d+/g, '')));
  const validity = seq(time(from, '20200101000000Z'), time(to, '20991231235959Z'));
  const serial = tag(0x02, Buffer.concat([hex('01'), randomBytes(8)]));
  const toSign = seq(
    tag(0xa0, hex('020102')),
    serial,
    ecdsaWithSha256,
    commonName(issuer),
    validity,
    commonName(subject),
    key.export({ type: 'spki', format: 'der' }),
    tag(0xa3, seq(...extensions)),
  );
  const signature = tag(0x03, Buffer.concat([hex('00'), sign('sha256', toSign, signer)]));
  const base64 = seq(toSign, ecdsaWithSha256, signature).toString('base64');
  // No empty line at the end, whatever the length: a signature has two or three of them.
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

const hex = (digits: string): Buffer => Buffer.from(digits, 'hex');
const seq = (...parts: readonly Buffer[]): Buffer => tag(0x30, Buffer.concat(parts));

function tag(kind: number, value: Buffer): Buffer {
  const size = value.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return Buffer.concat([Buffer.from([kind, ...length]), value]);
}
