/** What `doctor` says of the address that people use. */
import { isIP } from 'node:net';
import type { Finding } from './finding.ts';

export function publicUrlFindings(publicUrl: string): readonly Finding[] {
  const { protocol, hostname } = new URL(publicUrl);
  const host = hostname.replaceAll(/[[\]]/g, '');
  const findings: Finding[] = [];
  const isHere = host === 'localhost' || host === '::1' || /^127\./.test(host);
  if (protocol === 'http:' && !isHere) {
    findings.push({
      check: 'public URL',
      status: 'warning',
      detail: 'PUBLIC_URL is not https: tokens travel in the clear, and browsers allow no passkeys',
    });
  }
  if (isIP(host) !== 0) {
    findings.push({
      check: 'passkeys',
      status: 'warning',
      detail: `PUBLIC_URL names ${host}: browsers bind passkeys to host names only, so there can be none`,
    });
  }
  return findings;
}
