/**
 * The HTTP server: Fastify finds the route and mounts the whole into a host application; `pipeline.ts` is what happens
 * to a request; this file owns the listener, its limits in time and size, and its end.
 *
 * Closing: no new connection, `Connection: close` on every answer, idle sockets closed, those on which nothing has come yet
 * a moment later, requests in work finished up to the timeout, then everything is cut.
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { giveBack } from './body.ts';
import { createCertificateWatch } from './client-certificate.ts';
import { answerConnect, createClientErrorHandler, currentResponse, type TrackedSocket } from './client-errors.ts';
import { createWire, type Exchange, expectsContinue, type Wire } from './exchange.ts';
import { readFastHeaders } from './fast-headers.ts';
import type { FastExchange, HttpOptions } from './options.ts';
import { createPipeline, type Pipeline, type Serialise } from './pipeline.ts';
import { type CompiledRoute, compileRoutes, type PathEntry } from './route-table.ts';
import { readTlsFiles, type TlsFiles, tlsOptionsOf, watchTlsFiles } from './tls.ts';
import { makeAjv } from './validation.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly tls?: TlsFiles;
}

export interface HttpService {
  /** Registers every route in a host's Fastify instance; unknown paths stay the host's. */
  readonly plugin: (instance: FastifyInstance) => Promise<void>;
  /** For any host that speaks `node:http`; `ready()` must have resolved, and no body parser may come before it. */
  readonly nodeHandler: (request: IncomingMessage, response: ServerResponse) => void;
  ready(): Promise<void>;
  listen(options: ListenOptions): Promise<{ readonly url: string; readonly port: number }>;
  /** Stops being kept alive by clients without closing yet: answers say `Connection: close`. */
  beginClosing(): void;
  closing(): boolean;
  close(options: { readonly timeoutMs: number }): Promise<void>;
}

export function createHttp(options: HttpOptions): HttpService {
  let isClosing = false;
  const wire = createWire(options, () => isClosing);
  const pipeline = createPipeline(options, wire);
  const entries = compileRoutes(options.routes, makeAjv());
  const mounting: Mounting = { options, wire, pipeline, entries };
  const listeners: Listener[] = [];

  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    routerOptions: {
      caseSensitive: true,
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      // Above what a URL may have: what is too long or no parameter of ours is answered by us, as a problem.
      maxParamLength: 64 * 1024,
      onBadUrl: (_path: string, request: IncomingMessage, response: ServerResponse) =>
        pipeline.notFound(wire.open(request, response), entries),
    },
  });
  // For unknown paths too, before Fastify would look at their bodies.
  app.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
    if (!request.is404) return done();
    reply.hijack();
    pipeline.notFound(wire.open(request.raw, reply.raw), entries);
  });
  mountRoutes(app, mounting, false);
  const routable = new Set(app.supportedMethods);

  const route: HttpService['nodeHandler'] = (request, response) => {
    if (routable.has(request.method ?? '') && request.url?.startsWith('/')) app.routing(request, response);
    else pipeline.notFound(wire.open(request, response), entries);
  };
  const nodeHandler: HttpService['nodeHandler'] = (request, response) => {
    (request.socket as TrackedSocket)[currentResponse] = response;
    if (isClosing) response.shouldKeepAlive = false;
    if (takeFastPath(options, wire, request, response, route)) return;
    route(request, response);
  };

  return {
    plugin: async (instance) => mountRoutes(instance, mounting, true),
    nodeHandler,
    ready: async () => {
      await app.ready();
    },
    listen: async (where) => {
      await app.ready();
      const listener = await openListener(where, nodeHandler, options, wire);
      listeners.push(listener);
      return { url: listener.url, port: listener.port };
    },
    beginClosing: () => {
      isClosing = true;
    },
    closing: () => isClosing,
    close: async ({ timeoutMs }) => {
      isClosing = true;
      await Promise.all(listeners.map((listener) => listener.close(timeoutMs)));
      await app.close();
    },
  };
}

interface Mounting {
  readonly options: HttpOptions;
  readonly wire: Wire;
  readonly pipeline: Pipeline;
  readonly entries: readonly PathEntry[];
}

/** One Fastify route a method, so that Fastify compiles its serialisers, and one for the methods that are not there. */
function mountRoutes(instance: FastifyInstance, mounting: Mounting, inHost: boolean): void {
  for (const entry of mounting.entries) {
    const used = new Set<string>();
    for (const [method, compiled] of entry.byMethod) {
      if (method === 'HEAD') continue;
      const methods = method === 'GET' ? ['GET', 'HEAD'] : [method];
      for (const one of methods) used.add(one);
      mountRoute(instance, mounting, entry, methods, compiled, inHost);
    }
    const others = instance.supportedMethods.filter((method) => !used.has(method));
    mountRoute(instance, mounting, entry, others, undefined, inHost);
  }
}

function mountRoute(
  instance: FastifyInstance,
  { options, wire, pipeline }: Mounting,
  entry: PathEntry,
  method: string[],
  compiled: CompiledRoute | undefined,
  inHost: boolean,
): void {
  const response = responseSchemas(compiled);
  const serialisers = new Map<number, ReturnType<Serialise>>();
  instance.route({
    method,
    url: entry.path,
    exposeHeadRoute: false,
    ...(response === undefined ? {} : { schema: { response } }),
    // The request leaves Fastify here, before its body handling: the order of steps is the pipeline's.
    onRequest: (_request: FastifyRequest, reply: FastifyReply) => {
      reply.hijack();
      const { raw } = reply;
      const run: HttpService['nodeHandler'] = (request, response) =>
        pipeline.run(wire.open(request, response), entry, (status) => {
          if (!serialisers.has(status))
            serialisers.set(status, reply.getSerializationFunction(String(status)) as ReturnType<Serialise>);
          return serialisers.get(status);
        });
      if (inHost && takeFastPath(options, wire, raw.req, raw, run)) return;
      run(raw.req, raw);
    },
    handler: () => {
      throw new Error('a mounted route never reaches its handler');
    },
  });
}

function responseSchemas(compiled: CompiledRoute | undefined): Record<string, unknown> | undefined {
  if (compiled === undefined) return undefined;
  const schemas = Object.entries(compiled.definition.answers).flatMap(([status, spec]) =>
    spec.schema === undefined || spec.contentType !== undefined ? [] : [[status, spec.schema] as const],
  );
  return schemas.length === 0 ? undefined : Object.fromEntries(schemas);
}

function takeFastPath(
  options: HttpOptions,
  wire: Wire,
  request: IncomingMessage,
  response: ServerResponse,
  fullPath: HttpService['nodeHandler'],
): boolean {
  const { fastPath } = options;
  if (fastPath === undefined || request.url !== fastPath.path || request.method !== fastPath.method) return false;
  const sent = readFastHeaders(request.rawHeaders, wire.limits.headerCount);
  if (sent === undefined || (request as ExpectingRequest)[expectsContinue] === true) return false;
  const exchange = wire.openFast(request, response, sent);
  exchange.route = fastPath.path;
  return fastPath.take(new Offered(exchange, sent.contentLength, wire, fullPath));
}

interface ExpectingRequest {
  [expectsContinue]?: boolean;
}

/** A class, so that what every request brings is a few fields and no functions. */
class Offered implements FastExchange {
  readonly contentLength: number;
  readonly #exchange: Exchange;
  readonly #wire: Wire;
  readonly #fullPath: HttpService['nodeHandler'];

  constructor(exchange: Exchange, contentLength: number, wire: Wire, fullPath: HttpService['nodeHandler']) {
    this.#exchange = exchange;
    this.contentLength = contentLength;
    this.#wire = wire;
    this.#fullPath = fullPath;
  }

  get request(): IncomingMessage {
    return this.#exchange.request;
  }

  get response(): ServerResponse {
    return this.#exchange.response;
  }

  headers(): string[] {
    return this.#wire.fastHeaders(this.#exchange);
  }

  answered(status: number): void {
    this.#wire.count(this.#exchange, status);
  }

  fallBack(bytes: Buffer): void {
    const { request, response } = this.#exchange;
    giveBack(request, bytes);
    this.#fullPath(request, response);
  }
}

interface Listener {
  readonly url: string;
  readonly port: number;
  close(timeoutMs: number): Promise<void>;
}

async function openListener(
  where: ListenOptions,
  handler: HttpService['nodeHandler'],
  options: HttpOptions,
  wire: Wire,
): Promise<Listener> {
  const { limits } = wire;
  const settings: ServerOptions = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    keepAliveTimeout: limits.keepAliveMs,
    // Both are checked by the pipeline, which answers them as problems.
    requireHostHeader: false,
    noDelay: true,
  };
  const secured = where.tls === undefined ? undefined : createSecured(where.tls, settings, handler, options);
  const server: Server | HttpsServer = secured?.server ?? createHttpServer(settings, handler);
  server.maxHeadersCount = limits.headerCount + 28;
  server.maxConnections = limits.connections;
  // One of several workers would otherwise hand what is too much back to its primary, without end when all are full.
  Object.assign(server, { dropMaxConnection: true });
  server.setTimeout(limits.idleSocketMs);
  const raw = {
    realm: options.realm,
    newRequestId: options.newRequestId,
    onAnswer: (status: number, requestId: string) => options.hooks.onResponse('unknown', 'other', status, 0, requestId),
  };
  server.on('clientError', createClientErrorHandler(raw));
  server.on('connect', (_request, socket) => answerConnect(socket, raw));
  server.on('checkContinue', (request: IncomingMessage & { [expectsContinue]?: boolean }, response) => {
    request[expectsContinue] = true;
    handler(request, response);
  });
  const sockets = new Set<TrackedSocket>();
  server.on(secured === undefined ? 'connection' : 'secureConnection', (socket: TrackedSocket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  // An expectation that we do not know may be ignored (RFC 9110 section 10.1.1).
  server.on('checkExpectation', handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where.port, where.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const unwatch = secured?.watch();
  const { port } = server.address() as AddressInfo;
  const host = where.host.includes(':') ? `[${where.host}]` : where.host;
  return {
    port,
    url: `${secured === undefined ? 'http' : 'https'}://${host}:${port}`,
    close: (timeoutMs) => {
      unwatch?.();
      return closeServer(server, sockets, timeoutMs);
    },
  };
}

/** Where there are authorities for them, clients are asked for certificates; nobody is turned away for having none. */
function createSecured(
  files: TlsFiles,
  settings: ServerOptions,
  handler: HttpService['nodeHandler'],
  options: HttpOptions,
): { readonly server: HttpsServer; watch(): () => void } {
  const first = readTlsFiles(files);
  const asking = files.clientCaFile === undefined ? {} : { requestCert: true, rejectUnauthorized: false };
  const server = createHttpsServer(
    { ...settings, ...tlsOptionsOf(first), ...asking, handshakeTimeout: 10_000 },
    handler,
  );
  const certificates = createCertificateWatch(options.wallMs);
  if (files.clientCaFile !== undefined) {
    server.on('connection', certificates.begun);
    server.on('secureConnection', certificates.secured);
  }
  const watch = (): (() => void) =>
    watchTlsFiles(
      files,
      first,
      (change) => {
        server.setSecureContext(change.options);
        if (change.authoritiesChanged) certificates.authoritiesChanged();
      },
      options.log,
    );
  return { server, watch };
}

/** For what was sent on a connection that was taken just before the end. */
const silentGraceMs = 250;

function closeServer(
  server: Server | HttpsServer,
  sockets: ReadonlySet<TrackedSocket>,
  timeoutMs: number,
): Promise<void> {
  return new Promise((resolve) => {
    // A kept-alive socket becomes idle when its answer is out: look again until all are gone.
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    const cut = setTimeout(() => server.closeAllConnections(), timeoutMs);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
    // Node does not count a connection as idle before its first request, which may be on its way.
    setTimeout(() => {
      for (const socket of sockets) {
        if (socket[currentResponse] === undefined && isSilent(socket)) socket.destroy();
      }
    }, silentGraceMs).unref();
  });
}

/** Nothing of a request has come; what TLS counts as read is its handshake. */
const isSilent = (socket: TrackedSocket): boolean => 'encrypted' in socket || socket.bytesRead === 0;
