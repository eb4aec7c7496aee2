/**
 * The signing key of a running service, taken out of its store with the root secret that the test gave it: forged tokens
 * then differ from real ones in nothing but the property under test.
 */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { createRootSecret } from '../../../packages/server/src/keys/index.ts';
import { systemRandom } from '../../../packages/server/src/platform/random/index.ts';
import { createForge, type Forge } from '../../support/forge.ts';
import { type RunningService, sharedPostgres } from '../../support/service.ts';
import { claimsOf, headerOf } from './suite.ts';

/** On PostgreSQL a forge with the real key; on the embedded store, which nobody else may open, a forger's key under the real name. */
export async function forgeFor(service: RunningService, token: string): Promise<Forge> {
  const kid = String(headerOf(token)['kid']);
  const common = { kid, issuer: issuerOf(service), audience: 'auth-service', base: liveClaims(token) };
  if (service.databaseUrl === undefined) return createForge(common);
  const rows = await (await sharedPostgres()).query(
    'select kid, algorithm, private_key from signing_keys',
    service.databaseUrl,
  );
  const row = rows.find((one) => one['kid'] === kid);
  assert.ok(row !== undefined);
  const root = createRootSecret({
    current: service.env['JWT_SECRET'] ?? '',
    previous: undefined,
    random: systemRandom,
  });
  const opened = root.open(
    'signing-keys',
    `signing-key/${kid}/${String(row['algorithm'])}`,
    row['private_key'] as Buffer,
  );
  assert.ok(opened !== undefined, 'the signing key opens with the root secret');
  return createForge({ ...common, privateKey: createPrivateKey({ key: opened.plain, format: 'der', type: 'pkcs8' }) });
}

export const issuerOf = (service: RunningService): string =>
  service.env['PUBLIC_URL'] ?? `http://localhost:${service.port}`;

function liveClaims(token: string) {
  const { sub, sid, jti, epoch, auth_time: authTime } = claimsOf(token);
  return { sub: String(sub), sid: String(sid), jti: String(jti), epoch: Number(epoch), auth_time: Number(authTime) };
}
