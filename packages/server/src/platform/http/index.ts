/**
 * Platform HTTP: one table of routes in, a strict server out.
 *
 * Guarantees: every request is answered once, in bounded time and memory; every answer carries the security headers and
 * a request id; every error is a problem document (RFC 9457) without internals; the steps before a route's own code run
 * in the order that `pipeline.ts` states; a route without a declared access policy does not compile. When the store is
 * away, routes that need it answer 503 with `Retry-After`.
 */
export { createAnswerCheck, type SeenAnswer } from './answer-check.ts';
export { type BodyRead, readBody } from './body.ts';
export {
  createClientAddress,
  isPrivateOrLoopback,
  type ProxyTrust,
  type ReadClientAddress,
} from './client-address.ts';
export type { CertificateProblem, ClientCertificate } from './client-certificate.ts';
export { type DocsPage, renderDocsPage } from './docs-page.ts';
export * from './lines.ts';
export { buildOpenApi, type OpenApiDocument, type OpenApiInput } from './openapi.ts';
export * from './options.ts';
export * from './route.ts';
export { routeErrors } from './route-errors.ts';
export { createHttp, type HttpService, type ListenOptions } from './server.ts';
export { readAuthorities, type TlsFiles } from './tls.ts';
