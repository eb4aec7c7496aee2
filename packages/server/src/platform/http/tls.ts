/**
 * Certificate and key from files, read again when they change, so that a renewal needs no restart. A pair that does not
 * fit together, or is half written, leaves the one in use as it is.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { HttpLog } from './route.ts';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** How often the files are looked at. */
  readonly checkIntervalMs?: number;
}

export interface TlsPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** TLS 1.2 with forward secrecy, or 1.3. */
export const tlsMinVersion = 'TLSv1.2';

export const readTlsPair = (files: TlsFiles): TlsPair => ({
  cert: readFileSync(files.certFile),
  key: readFileSync(files.keyFile),
});

/** Calls `use` with each new sound pair; answers the function that ends the watch. */
export function watchTlsPair(files: TlsFiles, first: TlsPair, use: (pair: TlsPair) => void, log: HttpLog): () => void {
  // Contents, not times: secret mounts swap a symbolic link, and file events do not tell of that.
  let seen = fingerprint(first);
  const timer = setInterval(() => {
    try {
      const pair = readTlsPair(files);
      const now = fingerprint(pair);
      if (now === seen) return;
      seen = now;
      createSecureContext(pair);
      use(pair);
      log.warn({ file: files.certFile }, 'the TLS certificate was changed and is in use');
    } catch (error) {
      log.error({ file: files.certFile, error }, 'the changed TLS certificate is not used');
    }
  }, files.checkIntervalMs ?? 10_000);
  timer.unref();
  return () => clearInterval(timer);
}

const fingerprint = (pair: TlsPair): string => createHash('sha256').update(pair.cert).update(pair.key).digest('hex');
