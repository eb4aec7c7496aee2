/**
 * Certificate, key and the authorities of clients from files, read again when they change, so that a renewal needs no restart.
 * Files that do not fit together, or are half written, leave those in use as they are.
 */
import { constants, createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { HttpLog } from './route.ts';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities whose certificates are asked of clients. */
  readonly clientCaFile?: string | undefined;
  /** How often the files are looked at. */
  readonly checkIntervalMs?: number;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly clientCa: Buffer | undefined;
}

export const readTlsFiles = ({ certFile, keyFile, clientCaFile }: TlsFiles): TlsMaterial => ({
  cert: readFileSync(certFile),
  key: readFileSync(keyFile),
  clientCa: clientCaFile === undefined ? undefined : readFileSync(clientCaFile),
});

/** TLS 1.2 with forward secrecy, or 1.3. Throws for authorities that are none: OpenSSL would take as many as it can read. */
export function tlsOptionsOf({ cert, key, clientCa }: TlsMaterial): SecureContextOptions {
  const options: SecureContextOptions = { cert, key, minVersion: 'TLSv1.2' };
  if (clientCa === undefined) return options;
  return { ...options, ca: readAuthorities(clientCa.toString('utf8')), secureOptions: constants.SSL_OP_NO_TICKET };
}

/** Certificates of authorities, PEM, at least one. Throws for text that holds anything else between the marks. */
export function readAuthorities(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN [\s\S]*?(?:-----END [^-]*-----|$)/g) ?? [];
  if (blocks.length === 0) throw new Error('there is no certificate in the file of authorities');
  for (const block of blocks) {
    if (!new X509Certificate(block).ca) throw new Error('a certificate in the file of authorities is of no authority');
  }
  return blocks;
}

export interface TlsChange {
  readonly options: SecureContextOptions;
  readonly authoritiesChanged: boolean;
}

/** Calls `use` with what is new and sound; answers the function that ends the watch. */
export function watchTlsFiles(
  files: TlsFiles,
  first: TlsMaterial,
  use: (change: TlsChange) => void,
  log: HttpLog,
): () => void {
  // Contents, not times: secret mounts swap a symbolic link, and file events do not tell of that.
  let seen = fingerprint(first);
  let inUse = first;
  const timer = setInterval(() => {
    try {
      const next = readTlsFiles(files);
      const now = fingerprint(next);
      if (now === seen) return;
      seen = now;
      const options = tlsOptionsOf(next);
      createSecureContext(options);
      const authoritiesChanged = next.clientCa !== undefined && inUse.clientCa?.equals(next.clientCa) !== true;
      inUse = next;
      use({ options, authoritiesChanged });
      log.warn({ file: files.certFile }, 'the TLS certificate was changed and is in use');
    } catch (error) {
      log.error({ file: files.certFile, error }, 'the changed TLS certificate is not used');
    }
  }, files.checkIntervalMs ?? 10_000);
  timer.unref();
  return () => clearInterval(timer);
}

function fingerprint({ cert, key, clientCa }: TlsMaterial): string {
  const all = createHash('sha256');
  for (const part of [cert, key, clientCa ?? Buffer.alloc(0)]) all.update(`${part.length} `).update(part);
  return all.digest('hex');
}
