/** What a page pays for the client, bundled and minified as an application would: the core in 8 KiB, and no more than it uses. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bundle } from './bundle.ts';

const coreBytesMax = 8 * 1024;
const passkeysBytesMax = 2 * 1024;

const client = "'./packages/client/src/index.ts'";
const passkeys = "'./packages/client/src/passkeys.ts'";

const core = await bundle(`import { createClient } from ${client}; globalThis.client = createClient;`);

test('the core of the client is at most 8 KiB gzipped, whole', () => {
  assert.match(core.code, /refresh-token/);
  assert.deepEqual(core.imports, []);
  assert.ok(core.gzipBytes <= coreBytesMax, `${core.gzipBytes} bytes`);
});

test('passkeys cost only those who use them, and at most 2 KiB more', async () => {
  assert.doesNotMatch(core.code, /PublicKeyCredential|webauthn\/login/);
  const both = await bundle(
    `import { createClient } from ${client}; import { loginWithPasskey, addPasskey } from ${passkeys};
     globalThis.client = [createClient, loginWithPasskey, addPasskey];`,
  );
  assert.match(both.code, /webauthn\/login/);
  const more = both.gzipBytes - core.gzipBytes;
  assert.ok(more <= passkeysBytesMax, `${more} bytes`);
});

test('the README of the client tells what it weighs, to within a fifth of a KiB', () => {
  const readme = readFileSync(new URL('../../packages/client/README.md', import.meta.url), 'utf8');
  const told = Number(/(\d\.\d) KiB gzipped/.exec(readme)?.[1]);
  assert.ok(Math.abs(told - core.gzipBytes / 1024) <= 0.2, `${core.gzipBytes} bytes, and ${told} KiB are told`);
});

test('what a page does not import is not in its bundle: no storage of others, no schema, no table of errors', async () => {
  assert.doesNotMatch(core.code, /setItem|additionalProperties|The request has invalid fields/);
  const error = await bundle(`import { AuthError } from ${client}; globalThis.E = AuthError;`);
  assert.doesNotMatch(error.code, /refresh-token|BroadcastChannel/);
  assert.ok(error.gzipBytes <= 1024, `${error.gzipBytes} bytes`);
});
