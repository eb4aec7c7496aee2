/** A page of the tests on an origin of its own, in front of the service: what is not the page's own goes on to it. */
import { createServer, request as httpRequest } from 'node:http';

export interface TestPage {
  readonly port: number;
  /** `http://localhost:…`, under which the service has to be known. */
  readonly origin: string;
  /** What the page has asked the service for, in order. */
  readonly asked: readonly string[];
  /** What was answered, as `200 GET /path`, in order. */
  readonly answered: readonly string[];
  /** Where the calls of the page go. */
  serve(url: string): void;
  stop(): Promise<void>;
}

export interface PageFile {
  readonly type: string;
  readonly body: string;
}

/** `files`: what is answered here, by path. */
export async function startPage(files: Readonly<Record<string, PageFile>>): Promise<TestPage> {
  const asked: string[] = [];
  const answered: string[] = [];
  let target = '';
  const server = createServer((request, response) => {
    const file = files[request.url ?? '/'];
    if (file !== undefined) {
      response.setHeader('Content-Type', file.type);
      response.end(file.body);
      return;
    }
    asked.push(`${request.method} ${request.url}`);
    const { method, headers } = request;
    const onward = httpRequest(new URL(request.url ?? '/', target), { method, headers }, (answer) => {
      answered.push(`${answer.statusCode} ${method} ${request.url}`);
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
    port: address.port,
    origin: `http://localhost:${address.port}`,
    asked,
    answered,
    serve(url) {
      target = url;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
