/** The client as a page has it: bundled, loaded by a browser, and the service behind the same origin. */
import { rolldown } from 'rolldown';
import { startPage, type TestPage } from './page-server.ts';

const entry = 'virtual:page';
const code = `
  import { createClient, webStorage } from '../../../packages/client/src/index.ts';
  import * as passkeys from '../../../packages/client/src/passkeys.ts';
  globalThis.auth = { createClient, webStorage, passkeys };
`;
const html = '<!doctype html><title>A page</title><link rel="icon" href="data:,"><script src="/client.js"></script>';

async function bundled(): Promise<string> {
  const build = await rolldown({
    input: entry,
    cwd: import.meta.dirname,
    platform: 'browser',
    plugins: [
      {
        name: 'page',
        resolveId: (id) => (id === entry ? `${import.meta.dirname}/page.ts` : null),
        load: (id) => (id.endsWith('/support/page.ts') ? code : null),
      },
    ],
  });
  const { output } = await build.generate({ format: 'iife', minify: true });
  await build.close();
  return output[0].code;
}

export async function startClientPage(): Promise<TestPage> {
  return startPage({
    '/': { type: 'text/html; charset=utf-8', body: html },
    '/client.js': { type: 'text/javascript', body: await bundled() },
  });
}
