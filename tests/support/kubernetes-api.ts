/**
 * The part of a Kubernetes API server that lists pods: over TLS by an authority of its own, for one token, with label selectors
 * of the form `key=value,…`, and in pages. It can be told to misbehave.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { createCertificateAuthority } from './certificates.ts';

export interface TestPod {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly phase: string;
  readonly podIP?: string;
}

/** `endless`: pages without end. `drip`: a byte now and then. `broken`: the answer ends in the middle. */
export type Behaviour =
  | 'right'
  | 'hang'
  | 'garbage'
  | 'no list'
  | 'huge'
  | 'endless'
  | 'drip'
  | 'broken'
  | { readonly status: number; readonly location?: string };

export interface TestKubernetesApi {
  readonly host: string;
  readonly port: number;
  /** PEM. */
  readonly ca: string;
  token: string;
  pods: readonly TestPod[];
  behaviour: Behaviour;
  /** What was asked, in the order of asking: `GET /path` and the bearer token. */
  readonly asked: { readonly line: string; readonly token: string | undefined }[];
  stop(): Promise<void>;
}

/** `certificateFor`: another name than the one that it is asked by. */
export async function startKubernetesApi(certificateFor = '127.0.0.1'): Promise<TestKubernetesApi> {
  const authority = createCertificateAuthority('test cluster');
  const sockets = new Set<Duplex>();
  const server = createServer(authority.issue(certificateFor), (asked, answer) => {
    const token = /^Bearer (.+)$/.exec(asked.headers.authorization ?? '')?.[1];
    api.asked.push({ line: `${asked.method} ${asked.url}`, token });
    if (api.behaviour === 'right') answerRightly(api, token, asked, answer);
    else misbehave(api.behaviour, answer);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const api: TestKubernetesApi = {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    ca: authority.cert,
    token: 'a-token',
    pods: [],
    behaviour: 'right',
    asked: [],
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return api;
}

function answerRightly(
  api: TestKubernetesApi,
  token: string | undefined,
  asked: IncomingMessage,
  answer: ServerResponse,
): void {
  const url = new URL(asked.url ?? '/', 'https://api');
  const namespace = /^\/api\/v1\/namespaces\/([a-z0-9-]+)\/pods$/.exec(url.pathname)?.[1];
  if (token !== api.token) {
    send(answer, 401, { kind: 'Status', code: 401 });
    return;
  }
  if (asked.method !== 'GET' || namespace === undefined) {
    send(answer, 404, { kind: 'Status', code: 404 });
    return;
  }
  const wanted = (url.searchParams.get('labelSelector') ?? '').split(',').map((part) => part.split('='));
  const fitting = api.pods.filter(
    (pod) => pod.namespace === namespace && wanted.every(([key = '', value]) => pod.labels[key] === value),
  );
  const from = Number(url.searchParams.get('continue') ?? 0);
  const limit = Number(url.searchParams.get('limit') ?? fitting.length);
  const items = fitting.slice(from, from + limit).map((pod) => ({
    metadata: { name: pod.name, namespace: pod.namespace, labels: pod.labels },
    status: { phase: pod.phase, ...(pod.podIP === undefined ? {} : { podIP: pod.podIP }) },
  }));
  const metadata = from + limit < fitting.length ? { continue: String(from + limit) } : {};
  send(answer, 200, { kind: 'PodList', apiVersion: 'v1', metadata, items });
}

function misbehave(behaviour: Exclude<Behaviour, 'right'>, answer: ServerResponse): void {
  if (typeof behaviour === 'object') {
    const { status, location } = behaviour;
    answer.writeHead(status, location === undefined ? {} : { location }).end('{"kind":"Status"}');
    return;
  }
  switch (behaviour) {
    case 'hang':
      return;
    case 'garbage':
      answer.end('<html>no</html>');
      return;
    case 'no list':
      send(answer, 200, { kind: 'PodList', items: { length: 3 } });
      return;
    case 'huge':
      pour(answer);
      return;
    case 'endless':
      send(answer, 200, { metadata: { continue: 'again' }, items: [{ status: { podIP: '10.9.9.9' } }] });
      return;
    case 'drip': {
      answer.write('{"items":[');
      const timer = setInterval(() => answer.write(' '), 20);
      answer.on('close', () => clearInterval(timer));
      return;
    }
    case 'broken':
      answer.writeHead(200, { 'content-length': '1000' });
      answer.write('{"items":[', () => answer.destroy());
  }
}

function pour(answer: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, 0x20);
  const more = (): void => {
    while (!answer.destroyed && answer.write(chunk));
    answer.once('drain', more);
  };
  more();
}

function send(answer: ServerResponse, status: number, body: unknown): void {
  answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
