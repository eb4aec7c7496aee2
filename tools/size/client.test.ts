/** What a page pays for the client, bundled and minified as an application would: the core in 8 KiB, and no more than it uses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const entry = 'virtual:application';
const coreBytesMax = 8 * 1024;
const passkeysBytesMax = 2 * 1024;

async function bundle(code: string): Promise<string> {
  const build = await rolldown({
    input: entry,
    cwd: import.meta.dirname,
    platform: 'browser',
    plugins: [
      {
        name: 'application',
        resolveId: (id) => (id === entry ? id : null),
        load: (id) => (id === entry ? code : null),
      },
    ],
    onLog: (level, log) => assert.equal(level, 'info', log.message),
  });
  const { output } = await build.generate({ minify: true });
  await build.close();
  assert.equal(output.length, 1);
  return output[0].code;
}

const client = "'../../packages/client/src/index.ts'";
const passkeys = "'../../packages/client/src/passkeys.ts'";
const bytesOf = (code: string): number => gzipSync(code, { level: 9 }).length;

const core = await bundle(`import { createClient } from ${client}; globalThis.client = createClient;`);

test('the core of the client is at most 8 KiB gzipped, whole', () => {
  assert.match(core, /refresh-token/);
  assert.ok(bytesOf(core) <= coreBytesMax, `${bytesOf(core)} bytes`);
});

test('passkeys cost only those who use them, and at most 2 KiB more', async () => {
  assert.doesNotMatch(core, /PublicKeyCredential|webauthn\/login/);
  const both = await bundle(
    `import { createClient } from ${client}; import { loginWithPasskey, addPasskey } from ${passkeys};
     globalThis.client = [createClient, loginWithPasskey, addPasskey];`,
  );
  assert.match(both, /webauthn\/login/);
  const more = bytesOf(both) - bytesOf(core);
  assert.ok(more <= passkeysBytesMax, `${more} bytes`);
});

test('what a page does not import is not in its bundle: no storage of others, no schema, no table of errors', async () => {
  assert.doesNotMatch(core, /setItem|additionalProperties|The request has invalid fields/);
  const error = await bundle(`import { AuthError } from ${client}; globalThis.E = AuthError;`);
  assert.doesNotMatch(error, /refresh-token|BroadcastChannel/);
  assert.ok(bytesOf(error) <= 1024, `${bytesOf(error)} bytes`);
});
