/** The client as a page has it: bundled, loaded by a browser, and the service behind the same origin. */
import { createServer, request as httpRequest } from 'node:http';
import { rolldown } from 'rolldown';

const entry = 'virtual:page';
const code = `
  import { createClient, webStorage } from '../../../packages/client/src/index.ts';
  import * as passkeys from '../../../packages/client/src/passkeys.ts';
  globalThis.auth = { createClient, webStorage, passkeys };
`;
const html = '<!doctype html><title>A page</title><link rel="icon" href="data:,"><script src="/client.js"></script>';

export interface ClientPage {
  /** `http://localhost:…`, under which the service has to be known. */
  readonly origin: string;
  /** What the pages asked of the service. */
  readonly asked: readonly string[];
  serve(url: string): void;
  stop(): Promise<void>;
}

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

export async function startClientPage(): Promise<ClientPage> {
  const script = await bundled();
  const asked: string[] = [];
  let target = '';
  const server = createServer((request, response) => {
    if (request.url === '/' || request.url === '/client.js') {
      response.setHeader('Content-Type', request.url === '/' ? 'text/html; charset=utf-8' : 'text/javascript');
      response.end(request.url === '/' ? html : script);
      return;
    }
    asked.push(`${request.method} ${request.url}`);
    const { method, headers } = request;
    const onward = httpRequest(new URL(request.url ?? '/', target), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.writeHead(502).end());
    request.pipe(onward);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address !== 'object') throw new Error('the page has no port');
  return {
    origin: `http://localhost:${address.port}`,
    asked,
    serve(url) {
      target = url;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
