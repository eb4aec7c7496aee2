/** The library of passkeys is not paid for by who has none. */
import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { test } from 'node:test';

test('the WebAuthn library is loaded when a ceremony ends, not with the service', async (t) => {
  const loaded: string[] = [];
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      if (specifier.startsWith('@simplewebauthn/')) loaded.push(specifier);
      return next(specifier, context);
    },
  });
  t.after(() => hooks.deregister());
  await import('../core.ts');
  await import('../routes.ts');
  assert.equal(loaded.length, 0, loaded.join());
  const { verifyAttestation } = await import('./webauthn.ts');
  const response = { clientDataJSON: 'AA', attestationObject: 'AA' };
  const party = { id: 'auth.test', origin: 'https://auth.test' };
  assert.equal(await verifyAttestation(party, 'A', { id: 'A', rawId: 'A', type: 'public-key', response }), undefined);
  assert.ok(loaded.includes('@simplewebauthn/server'));
});
