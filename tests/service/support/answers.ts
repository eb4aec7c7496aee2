/** Holds every answer of the running service against its own OpenAPI document and against the rules of all answers. */
import type { IncomingHttpHeaders } from 'node:http';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

export interface SeenAnswer {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly sentHeaders: Readonly<Record<string, string>>;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Parsed where it is JSON. */
  readonly body: unknown;
}

interface Operation {
  readonly responses: Readonly<Record<string, unknown>>;
  readonly requestBody?: unknown;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: unknown }[];
  readonly security?: readonly Readonly<Record<string, unknown>>[];
}

export interface ApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const dateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Sentences about what is wrong with an answer; none when all is as promised. */
export function createAnswerCheck(document: ApiDocument): (seen: SeenAnswer) => readonly string[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { uuid, 'date-time': dateTime } });
  ajv.addSchema(document, 'openapi', false, false);
  const compiled = new Map<string, ValidateFunction>();
  const validatorOf = (pointer: string): ValidateFunction => {
    let validate = compiled.get(pointer);
    if (validate === undefined) {
      validate = ajv.compile({ $ref: `openapi#${pointer}` });
      compiled.set(pointer, validate);
    }
    return validate;
  };
  const templates = Object.keys(document.paths).map((template) => ({
    template,
    pattern: new RegExp(`^${template.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll(/\{[^}]+\}/g, '[^/;?#]+')}$`),
  }));

  function againstDocument(seen: SeenAnswer): readonly string[] {
    const template = templates.find(({ pattern }) => pattern.test(seen.path))?.template;
    const operation = template === undefined ? undefined : document.paths[template]?.[seen.method.toLowerCase()];
    if (template === undefined || operation === undefined) {
      if (seen.status < 400 && !['OPTIONS', 'HEAD'].includes(seen.method))
        return ['a path that is not described was answered'];
      return [];
    }
    let pointer = `/paths/${pointerPart(template)}/${seen.method.toLowerCase()}/responses/${seen.status}`;
    let declared = operation.responses[String(seen.status)];
    if (declared === undefined) return isGeneral(seen.status) ? [] : [`status ${seen.status} is not declared`];
    if (typeof declared === 'object' && declared !== null && '$ref' in declared) {
      const { $ref } = declared as { $ref: string };
      pointer = $ref.slice(1);
      declared = pointer
        .slice(1)
        .split('/')
        .reduce<unknown>((node, part) => (node as Record<string, unknown>)[part], document);
    }
    const { content } = declared as { content?: Record<string, { schema?: unknown }> };
    if (seen.status === 304 || seen.text === '')
      return content === undefined || seen.status === 304 ? [] : ['the body is empty'];
    const type = (seen.headers['content-type'] ?? '').split(';', 1)[0] ?? '';
    const media = Object.keys(content ?? {}).find((name) => name.split(';', 1)[0] === type);
    if (media === undefined) return [`content type ${type} is not declared for ${seen.status}`];
    if (content?.[media]?.schema === undefined || !type.endsWith('json')) return [];
    const validate = validatorOf(`${pointer}/content/${pointerPart(media)}/schema`);
    if (validate(seen.body) === true) return [];
    return (validate.errors ?? []).map((error) => `${error.instancePath || 'the body'} ${error.message}`);
  }

  return (seen) => [...againstDocument(seen), ...generalRules(seen)];
}

const pointerPart = (part: string): string => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));

/** What may come for the form of a request before any route is looked at. */
const isGeneral = (status: number): boolean => [400, 405, 408, 413, 414, 415, 431].includes(status);

const wantedHeaders: Readonly<Record<string, RegExp>> = {
  'x-request-id': /^[A-Za-z0-9._-]{1,128}$/,
  'x-content-type-options': /^nosniff$/,
  'x-frame-options': /^DENY$/,
  'referrer-policy': /^no-referrer$/,
  'content-security-policy': /frame-ancestors 'none'.*base-uri 'none'|base-uri 'none'.*frame-ancestors 'none'/,
  'cross-origin-opener-policy': /^same-origin$/,
  'cross-origin-resource-policy': /^same-site$/,
  'permissions-policy': /./,
};

const cacheable = new Set([
  '/.well-known/jwks.json',
  '/.well-known/oauth-authorization-server',
  '/openapi.json',
  '/docs',
]);

/** What is true of every answer, whatever was asked (CONTRACT sections 2 and 7; SECURITY 3.0, BRW-05, BRW-06). */
export function generalRules(seen: SeenAnswer): readonly string[] {
  const { headers, status } = seen;
  const wrong: string[] = [];
  const want = (isTrue: boolean, sentence: string): void => {
    if (!isTrue) wrong.push(sentence);
  };
  for (const [name, pattern] of Object.entries(wantedHeaders)) {
    want(pattern.test(String(headers[name] ?? '')), `${name} is ${String(headers[name])}`);
  }
  want(headers['server'] === undefined && headers['x-powered-by'] === undefined, 'the software is named');
  const sentId = seen.sentHeaders['X-Request-Id'];
  if (sentId !== undefined && /^[A-Za-z0-9._-]{1,128}$/.test(sentId))
    want(headers['x-request-id'] === sentId, 'the request id was not kept');
  if (status === 401) want(/^Bearer\b/.test(headers['www-authenticate'] ?? ''), '401 without a Bearer challenge');
  if (status === 405) want((headers['allow'] ?? '') !== '', '405 without Allow');
  if (status === 429 || status === 503)
    want(/^[1-9]\d*$/.test(headers['retry-after'] ?? ''), `${status} without Retry-After`);
  if (status < 400 && status !== 204 && !cacheable.has(seen.path)) {
    want(headers['cache-control'] === 'no-store', `cache-control is ${String(headers['cache-control'])}`);
  }
  if (status >= 400 && seen.method !== 'HEAD' && !(status === 503 && seen.path.startsWith('/health'))) {
    wrong.push(...problemRules(seen));
  }
  return wrong;
}

function problemRules(seen: SeenAnswer): readonly string[] {
  const wrong: string[] = [];
  if (seen.headers['content-type'] !== 'application/problem+json; charset=utf-8')
    wrong.push('an error that is no problem document');
  if (typeof seen.body !== 'object' || seen.body === null) return [...wrong, 'the problem is no object'];
  const { type, title, status, code, request_id: id, detail } = seen.body as Record<string, unknown>;
  if (type !== `urn:auth-service:problem:${String(code)}`) wrong.push(`type is ${String(type)}`);
  if (typeof title !== 'string' || typeof detail !== 'string') wrong.push('title or detail is missing');
  if (status !== seen.status) wrong.push('the status in the body is another one');
  if (id !== seen.headers['x-request-id']) wrong.push('request_id is not that of the header');
  if (/\n\s+at |node_modules|\.ts:\d|\bselect\b .* \bfrom\b|\bpostgres(ql)?:/i.test(seen.text))
    wrong.push('the inside shows');
  return wrong;
}
