/** Protocol and client as a stranger gets them: tarballs in a bare project, loaded both ways, and typed for Node and for browsers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'auth-client-packed-'));

function run(program: string, args: readonly string[], cwd = project): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

before(() => {
  const tarballs = join(project, 'tarballs');
  run(process.execPath, [join(root, 'tools/pack.ts'), tarballs], root);
  writeFileSync(join(project, 'package.json'), '{"name":"shop","private":true}');
  const files = globSync('auth-service-{protocol,client}-*.tgz', { cwd: tarballs }).map((file) => join(tarballs, file));
  assert.equal(files.length, 2);
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--no-package-lock', ...files]);
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types']) {
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
  }
});
after(() => rmSync(project, { recursive: true, force: true }));

test('the tarball holds what runs and its types, and depends on the protocol alone', () => {
  const folder = join(project, 'node_modules/@auth-service/client');
  const files = globSync('**/*', { cwd: folder, exclude: ['node_modules'] });
  assert.deepEqual(
    files.filter((file) => /test|(?<!\.d)\.ts$/.test(file)),
    [],
  );
  for (const entry of ['index', 'passkeys']) {
    assert.ok(files.includes(`dist/${entry}.js`) && files.includes(`dist/${entry}.d.ts`), entry);
  }
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
  assert.deepEqual(manifest['dependencies'], { '@auth-service/protocol': '0.1.0' });
  assert.deepEqual([manifest['scripts'], manifest['sideEffects']], [undefined, false]);
});

test('both are imported, and required where a project is CommonJS, and a login works with them', () => {
  const body = {
    ...{ access_token: 'a', refresh_token: 'r', token_type: 'Bearer', expires_in: 60, refresh_expires_in: 60 },
    ...{ session_id: 's', user: { id: 'u', email: 'ada@example.org' } },
  };
  const use = `
    const client = createClient({ baseUrl: 'http://x', fetch: async () => Response.json(${JSON.stringify(body)}) });
    client.login({ email: 'a', password: 'b' }).then(({ user }) => console.log(user.email, typeof addPasskey, errorCodes.length > 9));`;
  writeFileSync(
    join(project, 'use.mjs'),
    `import { createClient } from '@auth-service/client';
     import { addPasskey } from '@auth-service/client/passkeys';
     import { errorCodes } from '@auth-service/protocol';${use}`,
  );
  writeFileSync(
    join(project, 'use.cjs'),
    `const { createClient } = require('@auth-service/client');
     const { addPasskey } = require('@auth-service/client/passkeys');
     const { errorCodes } = require('@auth-service/protocol');${use}`,
  );
  for (const file of ['use.mjs', 'use.cjs']) {
    assert.equal(run(process.execPath, [file]), 'ada@example.org function true\n');
  }
});

const typed = `import { AuthError, type AuthState, createClient, memoryStorage, webStorage } from '@auth-service/client';
import { canUsePasskeys, loginWithPasskey } from '@auth-service/client/passkeys';
import type { ErrorCode, Session, User } from '@auth-service/protocol';

export const auth = createClient({ baseUrl: 'https://auth.example.org', storage: memoryStorage() });
export async function signIn(email: string, password: string): Promise<User> {
  const result = await auth.login({ email, password });
  if (result.kind === 'signed_in') return result.user;
  // @ts-expect-error a login that waits for a second factor has no user
  void result.user;
  return auth.verifyMfa({ code: result.methods.includes('totp') ? '123456' : '' });
}
export const sessions = (signal: AbortSignal): Promise<readonly Session[]> => auth.sessions({ signal });
export const off: () => void = auth.onChange((state: AuthState) => {
  if (state.status === 'signed_in') console.log(state.user?.email);
  // @ts-expect-error who is signed out has no session
  else console.log(state.session_id);
});
export const codeOf = (error: unknown): ErrorCode | string => (error instanceof AuthError ? error.code : 'unknown');
export const passkey = (): Promise<User> | undefined => (canUsePasskeys() ? loginWithPasskey(auth) : undefined);
export const orders = (): Promise<Response> => auth.fetch('/orders', { method: 'POST', body: '{}' });
// @ts-expect-error one proof at least
void auth.verifyMfa({});
// @ts-expect-error there is no such mode
createClient({ baseUrl: '', mode: 'both' });
`;

test('the published types hold for Node and for a page that is bundled, without suppressing what libraries declare', () => {
  writeFileSync(join(project, 'node.mts'), `${typed}void webStorage;`);
  writeFileSync(join(project, 'page.ts'), `${typed}webStorage(localStorage);\nwebStorage(sessionStorage, 'shop');`);
  const strict = { strict: true, exactOptionalPropertyTypes: true, noEmit: true, target: 'es2024' };
  const configs = {
    node: { ...strict, module: 'nodenext', types: ['node'], lib: ['es2024'], skipLibCheck: true },
    page: {
      ...strict,
      module: 'esnext',
      moduleResolution: 'bundler',
      types: [],
      lib: ['es2024', 'dom', 'dom.iterable'],
    },
  };
  for (const [name, compilerOptions] of Object.entries(configs)) {
    const include = [name === 'node' ? 'node.mts' : 'page.ts'];
    writeFileSync(join(project, `tsconfig.${name}.json`), JSON.stringify({ compilerOptions, include }));
    run(join(root, 'node_modules/.bin/tsc'), ['-p', `tsconfig.${name}.json`]);
  }
});
