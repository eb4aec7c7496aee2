/**
 * Certificates that clients show to a listener of ours (mutual TLS). They are asked for and demanded of nobody: who shows none is a
 * client like any other.
 *
 * - One is good when the handshake of this very connection has verified it: chain to an authority of ours, dates, and its use
 *   (`clientAuth`) where it names any. Nothing is resumed on such a listener, so no verdict is older than its connection.
 * - It is good no longer than the first end of its chain, however long the connection is kept alive, and only while the
 *   authorities are those that it was verified with: after a change the connection has to be made anew.
 * - What another listener has verified (a host's, a proxy's) says nothing here.
 */
import type { Socket } from 'node:net';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';

/** `unknown`: of no authority here. `changed`: verified with authorities of before. */
export type CertificateProblem = 'expired' | 'not_yet_valid' | 'wrong_use' | 'unknown' | 'changed';

export interface ClientCertificate {
  /** What is wrong with it now; `undefined` for nothing. */
  problem(): CertificateProblem | undefined;
}

const shown = Symbol('the certificate that the client of this connection has shown');

interface MarkedSocket {
  [shown]?: ClientCertificate;
}

export const certificateOf = (socket: object): ClientCertificate | null => (socket as MarkedSocket)[shown] ?? null;

export interface CertificateWatch {
  /** As soon as a connection comes in, before its handshake. */
  begun(raw: Socket): void;
  /** Its handshake is done. */
  secured(socket: TLSSocket): void;
  /** The listener verifies by other authorities from now on. */
  authoritiesChanged(): void;
}

export function createCertificateWatch(wallMs: () => number): CertificateWatch {
  let round = 0;
  // A handshake ends with the authorities that it began with. Only the ends of a connection are known of it at both times.
  const roundOf = new Map<string, number>();
  const nameOf = (socket: Socket): string =>
    `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
  return {
    begun(raw) {
      const name = nameOf(raw);
      roundOf.set(name, round);
      raw.once('close', () => roundOf.delete(name));
    },
    secured(socket) {
      const begunIn = roundOf.get(nameOf(socket));
      const certificate = socket.getPeerCertificate(true);
      if (certificate.raw === undefined) return;
      const refused = socket.authorized ? undefined : problemOf(socket.authorizationError);
      const endMs = endOf(certificate);
      const problem = (): CertificateProblem | undefined => {
        if (refused !== undefined) return refused;
        if (begunIn !== round) return 'changed';
        return wallMs() < endMs ? undefined : 'expired';
      };
      (socket as MarkedSocket)[shown] = { problem };
    },
    authoritiesChanged() {
      round += 1;
    },
  };
}

/** Node hands on the names of OpenSSL, as an error or as text. */
function problemOf(error: unknown): CertificateProblem {
  const name = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
  if (name === 'CERT_HAS_EXPIRED') return 'expired';
  if (name === 'CERT_NOT_YET_VALID') return 'not_yet_valid';
  return name === 'INVALID_PURPOSE' ? 'wrong_use' : 'unknown';
}

const chainMax = 16;

/** The first end of a chain that was verified; now for one without dates. */
function endOf(leaf: DetailedPeerCertificate): number {
  let end = Number.POSITIVE_INFINITY;
  let one: DetailedPeerCertificate | undefined = leaf;
  for (let depth = 0; one !== undefined && depth < chainMax; depth += 1) {
    const to = Date.parse(one.valid_to);
    end = Math.min(end, Number.isNaN(to) ? 0 : to);
    one = one.issuerCertificate === one ? undefined : one.issuerCertificate;
  }
  return end;
}
