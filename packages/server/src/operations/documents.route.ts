/** GET /metrics, /openapi.json, /docs */
import { Type } from '@auth-service/protocol';
import { type DocsPage, defineRoute, type RouteDefinition } from '../platform/http/index.ts';

const common = { method: 'GET', tags: ['operations'], limit: null, unknownFields: 'ignore', errors: [] } as const;

const DocumentSchema = Type.Object(
  { openapi: Type.String(), info: Type.Unknown(), paths: Type.Record(Type.String(), Type.Unknown()) },
  { title: 'OpenApiDocument' },
);

export const metricsRoute = (render: () => Promise<string>): RouteDefinition =>
  defineRoute({
    ...common,
    path: '/metrics',
    summary: 'Metrics in the Prometheus text format',
    access: { kind: 'operations', guard: 'metrics' },
    answers: { 200: { description: 'The metrics.', contentType: 'text/plain; version=0.0.4; charset=utf-8' } },
    async handle() {
      return { status: 200, body: await render(), contentType: 'text/plain; version=0.0.4; charset=utf-8' };
    },
  });

export const openapiRoute = (text: () => string): RouteDefinition =>
  defineRoute({
    ...common,
    path: '/openapi.json',
    limit: 'api',
    summary: 'This API as an OpenAPI 3.1 document',
    access: { kind: 'public' },
    answers: {
      200: { description: 'The document.', schema: DocumentSchema, contentType: 'application/json; charset=utf-8' },
    },
    handle: () => ({ status: 200, body: text(), contentType: 'application/json; charset=utf-8', noStore: false }),
  });

export const docsRoute = (page: () => DocsPage): RouteDefinition =>
  defineRoute({
    ...common,
    path: '/docs',
    limit: 'api',
    summary: 'This API as a page to read',
    access: { kind: 'public' },
    answers: { 200: { description: 'The page.', contentType: 'text/html; charset=utf-8' } },
    handle() {
      const { html, contentType, contentSecurityPolicy } = page();
      const headers = { 'Content-Security-Policy': contentSecurityPolicy };
      return { status: 200, body: html, contentType, headers, noStore: false };
    },
  });
