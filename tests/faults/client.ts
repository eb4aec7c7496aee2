/** One client of one node: keep-alive connections, one deadline, and no exception: no answer is an answer too. */
import { Agent, request } from 'node:http';

export interface Reply {
  readonly sentMs: number;
  readonly endMs: number;
  /** 0: none came. */
  readonly status: number;
  readonly code: string;
  readonly body: Readonly<Record<string, unknown>>;
}

interface PostOptions {
  readonly token?: string;
}

export interface Client {
  readonly node: string;
  post(path: string, body?: unknown, options?: PostOptions): Promise<Reply>;
  get(path: string): Promise<Reply>;
  close(): void;
}

/** How long it waits; then it hangs up. */
const timeoutMsMax = 5_000;

export function createClient(node: string, host: string, port: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

  function send(method: string, path: string, body: unknown, options: PostOptions): Promise<Reply> {
    const { token } = options;
    const payload = body === undefined ? '' : JSON.stringify(body);
    const headers: Record<string, string | number> = { 'Content-Length': Buffer.byteLength(payload) };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (token !== undefined) headers['Authorization'] = `Bearer ${token}`;
    const sentMs = performance.now();
    return new Promise((resolve) => {
      const none = (code: string): void => {
        clearTimeout(timer);
        resolve({ sentMs, endMs: performance.now(), status: 0, code, body: {} });
      };
      const asked = request({ host, port, method, path, headers, agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', (error: NodeJS.ErrnoException) => none(error.code ?? error.message));
        response.on('end', () => {
          clearTimeout(timer);
          const parsed = parse(Buffer.concat(chunks).toString());
          const code = typeof parsed['code'] === 'string' ? parsed['code'] : '';
          resolve({ sentMs, endMs: performance.now(), status: response.statusCode ?? 0, code, body: parsed });
        });
      });
      const timer = setTimeout(() => {
        none('TIMEOUT');
        asked.destroy();
      }, timeoutMsMax);
      asked.on('error', (error: NodeJS.ErrnoException) => none(error.code ?? error.message));
      asked.end(payload);
    });
  }

  return {
    node,
    post: (path, body, options = {}) => send('POST', path, body, options),
    get: (path) => send('GET', path, undefined, {}),
    close: () => agent.destroy(),
  };
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}
