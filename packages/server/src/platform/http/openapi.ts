/**
 * The OpenAPI 3.1 document, made from the same table and schemas that route, validate and serialise. Its order is that of
 * the table, so the same table gives the same bytes.
 */

import type { TSchema } from '@auth-service/protocol';
import { type ErrorCode, errorTable, ProblemSchema, problemType } from '@auth-service/protocol';
import type { AnswerSpec, RouteDefinition } from './route.ts';
import { errorsByStatus } from './route-errors.ts';
import { withUnknownFields } from './validation.ts';

export type JsonObject = { [name: string]: unknown };

export interface OpenApiInfo {
  readonly title: string;
  readonly version: string;
  readonly description?: string;
  /** Where the service is reached; `/` where not known. */
  readonly serverUrl?: string;
}

export interface OpenApiTag {
  readonly name: string;
  readonly description: string;
}

export interface OpenApiInput {
  readonly routes: readonly RouteDefinition[];
  readonly info: OpenApiInfo;
  readonly tags?: readonly OpenApiTag[];
}

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: JsonObject;
  readonly servers: readonly JsonObject[];
  readonly tags: readonly JsonObject[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, JsonObject>>>>;
  readonly components: {
    readonly schemas: JsonObject;
    readonly responses: JsonObject;
    readonly headers: JsonObject;
    readonly securitySchemes: JsonObject;
  };
}

export function buildOpenApi({ routes, info, tags }: OpenApiInput): OpenApiDocument {
  const components = createComponents();
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const route of routes) {
    const path = openApiPath(route.path);
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operation(route, components);
  }
  const used = [...new Set(routes.flatMap((route) => route.tags))];
  const told = new Map(tags?.map((tag) => [tag.name, tag.description]));
  return {
    openapi: '3.1.0',
    info: { title: info.title, version: info.version, ...(info.description && { description: info.description }) },
    servers: [{ url: info.serverUrl ?? '/' }],
    tags: used.map((name) => ({ name, ...(told.has(name) && { description: told.get(name) }) })),
    paths,
    components: {
      schemas: components.schemas,
      responses: components.responses,
      headers: commonHeaders,
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An access token; where a permission is asked for, an API key (`ask_…`) as well.',
        },
        certificate: {
          type: 'mutualTLS',
          description: 'A client certificate of an authority in `TLS_CLIENT_CA_FILE`, where that is set.',
        },
        operations: {
          type: 'http',
          scheme: 'bearer',
          description:
            'The token of the operations routes, where one is set; without it they answer near addresses only.',
        },
      },
    },
  };
}

/** `/sessions/:session_id` as `/sessions/{session_id}`. */
export const openApiPath = (path: string): string => path.replaceAll(/:([a-z_]+)/g, '{$1}');

const text = { schema: { type: 'string' } };
const commonHeaders: JsonObject = {
  'X-Request-Id': { description: 'Names this request in the logs; a sane one that was sent is kept.', ...text },
  'Retry-After': { description: 'Seconds to wait before trying again.', schema: { type: 'integer', minimum: 1 } },
  RateLimit: { description: 'What is left of the limit, and when it is whole again.', ...text },
  'RateLimit-Policy': { description: 'The limit: how many in how many seconds.', ...text },
  'WWW-Authenticate': { description: 'A Bearer challenge (RFC 6750).', ...text },
  'Cache-Control': { description: '`no-store` on everything with tokens or personal data.', ...text },
};
const headerRef = (name: string): JsonObject => ({ $ref: `#/components/headers/${name}` });

interface Components {
  readonly schemas: JsonObject;
  readonly responses: JsonObject;
  /** `schema` with every titled part replaced by a reference. */
  lift(schema: unknown): unknown;
  /** A reference to the shared answer of these codes. */
  problem(status: number, codes: readonly ErrorCode[], limited: boolean): JsonObject;
}

function createComponents(): Components {
  const schemas: JsonObject = {};
  const responses: JsonObject = {};
  const responseNames = new Map<string, string>();
  const lift: Components['lift'] = (schema) => {
    if (Array.isArray(schema)) return schema.map(lift);
    if (typeof schema !== 'object' || schema === null) return schema;
    const made: JsonObject = {};
    for (const [key, value] of Object.entries(schema)) made[key] = lift(value);
    const { title } = made;
    if (typeof title !== 'string') return made;
    if (schemas[title] !== undefined && JSON.stringify(schemas[title]) !== JSON.stringify(made)) {
      throw new Error(`two different schemas are titled ${title}`);
    }
    schemas[title] = made;
    return { $ref: `#/components/schemas/${title}` };
  };
  lift(ProblemSchema);
  const problem: Components['problem'] = (status, codes, limited) => {
    const key = `${status} ${codes.join(' ')} ${limited}`;
    let name = responseNames.get(key);
    if (name === undefined) {
      const count = [...responseNames.values()].filter((one) => one.startsWith(`Error${status}`)).length;
      name = count === 0 ? `Error${status}` : `Error${status}_${count + 1}`;
      responseNames.set(key, name);
      responses[name] = problemResponse(status, codes, limited);
    }
    return { $ref: `#/components/responses/${name}` };
  };
  return { schemas, responses, lift, problem };
}

function problemResponse(status: number, codes: readonly ErrorCode[], limited: boolean): JsonObject {
  const headers: JsonObject = { 'X-Request-Id': headerRef('X-Request-Id') };
  if (limited) Object.assign(headers, rateHeaders());
  if (status === 401 || codes.includes('insufficient_permissions')) {
    headers['WWW-Authenticate'] = headerRef('WWW-Authenticate');
  }
  if (status === 429 || status === 503) headers['Retry-After'] = headerRef('Retry-After');
  return {
    description: codes.map((code) => `\`${code}\`: ${errorTable[code].title}.`).join(' '),
    headers,
    content: {
      'application/problem+json': {
        schema: {
          allOf: [
            { $ref: '#/components/schemas/Problem' },
            { type: 'object', properties: { status: { const: status }, code: { enum: [...codes] } } },
          ],
        },
        examples: Object.fromEntries(codes.map((code) => [code, { value: problemExample(code) }])),
      },
    },
  };
}

const problemExample = (code: ErrorCode): JsonObject => ({
  type: problemType(code),
  title: errorTable[code].title,
  status: errorTable[code].status,
  detail: `${errorTable[code].title}.`,
  code,
  request_id: '019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88',
  ...(code === 'validation_failed' && {
    errors: [{ pointer: '/user/email', code: 'invalid', detail: 'This does not have the required form.' }],
  }),
  ...(code === 'unknown_field' && {
    errors: [{ pointer: '/user/role', code: 'unknown_field', detail: 'This member is not known here.' }],
  }),
});

const rateHeaders = (): JsonObject => ({
  RateLimit: headerRef('RateLimit'),
  'RateLimit-Policy': headerRef('RateLimit-Policy'),
});

function operation(route: RouteDefinition, components: Components): JsonObject {
  const permission = route.access.kind === 'bearer' ? route.access.permission : undefined;
  const parameters = [
    ...parametersOf(route.params, 'path', components),
    ...parametersOf(route.query, 'query', components),
  ];
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    tags: [...route.tags],
    security: securityOf(route),
    ...(permission !== undefined && { 'x-required-permission': permission }),
    ...(route.limit !== null && { 'x-rate-limit-policy': route.limit }),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body !== undefined && { requestBody: requestBody(route, route.body, components) }),
    responses: responsesOf(route, components),
  };
}

function operationId(route: RouteDefinition): string {
  const words = route.path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  return route.method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

function securityOf({ access }: RouteDefinition): readonly JsonObject[] {
  if (access.kind === 'public') return [];
  if (access.kind === 'operations') return [{ operations: [] }, {}];
  return access.certificates === true ? [{ bearer: [] }, { certificate: [] }] : [{ bearer: [] }];
}

function parametersOf(schema: TSchema | undefined, place: 'path' | 'query', components: Components): JsonObject[] {
  const { properties, required } = (schema ?? {}) as { properties?: JsonObject; required?: readonly string[] };
  return Object.entries(properties ?? {}).map(([name, property]) => {
    const { description, ...rest } = property as { description?: string };
    return {
      name,
      in: place,
      required: place === 'path' || (required?.includes(name) ?? false),
      ...(description !== undefined && { description }),
      schema: components.lift(rest),
    };
  });
}

function requestBody(route: RouteDefinition, schema: TSchema, components: Components): JsonObject {
  const required = ((schema as { required?: readonly string[] }).required?.length ?? 0) > 0;
  return {
    required,
    content: {
      'application/json': {
        schema: components.lift(withUnknownFields(schema, route.unknownFields)),
        ...(route.bodyExample !== undefined && { example: route.bodyExample }),
      },
    },
  };
}

function responsesOf(route: RouteDefinition, components: Components): JsonObject {
  const limited = route.limit !== null;
  const errors = errorsByStatus(route);
  const responses: JsonObject = {};
  for (const [status, spec] of Object.entries(route.answers)) {
    const answer = answerOf(spec, limited, components);
    // Where a status is both an answer and an error (health's 503), both contents stand side by side.
    const codes = errors.get(Number(status));
    if (codes !== undefined) {
      const { content, headers } = problemResponse(Number(status), codes, limited);
      answer['content'] = { ...(answer['content'] as JsonObject), ...(content as JsonObject) };
      answer['headers'] = { ...(headers as JsonObject), ...(answer['headers'] as JsonObject) };
    }
    responses[status] = answer;
  }
  for (const [status, codes] of errors) responses[status] ??= components.problem(status, codes, limited);
  return responses;
}

function answerOf(spec: AnswerSpec, limited: boolean, components: Components): JsonObject {
  const own = Object.entries(spec.headers ?? {}).map(([name, description]) => [name, { description, ...text }]);
  const headers = {
    'X-Request-Id': headerRef('X-Request-Id'),
    'Cache-Control': headerRef('Cache-Control'),
    ...(limited && rateHeaders()),
    ...Object.fromEntries(own),
  };
  if (spec.schema === undefined && spec.contentType === undefined) return { description: spec.description, headers };
  const schema = spec.schema === undefined ? { type: 'string' } : components.lift(spec.schema);
  return {
    description: spec.description,
    headers,
    content: {
      [spec.contentType ?? 'application/json']: {
        schema,
        ...(spec.example !== undefined && { example: spec.example }),
      },
    },
  };
}
