/**
 * The API reference as one HTML page, rendered from the OpenAPI document: no script, no outside assets, light and dark.
 * Every text is escaped, and the page's policy allows its own style sheet only, by hash.
 */
import { createHash } from 'node:crypto';
import { type ErrorCode, errorTable } from '@auth-service/protocol';
import { docsStyle } from './docs-style.ts';
import type { JsonObject, OpenApiDocument } from './openapi.ts';
import { generalErrors } from './route-errors.ts';
import { exampleOf, resolve } from './schema-example.ts';

export interface DocsPage {
  readonly html: string;
  readonly contentType: string;
  /** To be sent as `Content-Security-Policy`. */
  readonly contentSecurityPolicy: string;
}

const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(docsStyle).digest('base64')}'`,
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

export function renderDocsPage(document: OpenApiDocument): DocsPage {
  const operations = listOperations(document);
  const title = String(document.info['title']);
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)} API reference</title>
<style>${docsStyle}</style>
</head>
<body>
<a class="skip" href="#content">To the content</a>
${navigation(document, operations, title)}
<main id="content">
${introduction(document, title)}
${document.tags.map((tag) => section(document, tag, operations)).join('\n')}
${errorSection()}
</main>
</body>
</html>
`;
  return { html, contentType: 'text/html; charset=utf-8', contentSecurityPolicy: policy };
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly id: string;
  readonly tag: string;
  readonly node: JsonObject;
}

function listOperations(document: OpenApiDocument): readonly Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, node]) => ({
      method,
      path,
      id: String(node['operationId']),
      tag: String((node['tags'] as readonly string[])[0] ?? ''),
      node,
    })),
  );
}

function navigation(document: OpenApiDocument, operations: readonly Operation[], title: string): string {
  const groups = document.tags.map((tag) => {
    const items = operations
      .filter((one) => one.tag === tag['name'])
      .map(
        (one) =>
          `<li><a href="#${escaped(one.id)}">${badge(one.method)}<span class="path">${breakable(shortPath(one.path))}</span></a></li>`,
      );
    return `<h2>${escaped(heading(tag))}</h2><ul>${items.join('')}</ul>`;
  });
  return `<nav aria-label="Contents"><a class="name" href="#content">${escaped(title)}</a>${groups.join('')}
<h2>Errors</h2><ul><li><a href="#errors">All codes</a></li></ul></nav>`;
}

function introduction(document: OpenApiDocument, title: string): string {
  const { version, description } = document.info;
  return `<header><h1>${escaped(title)} API</h1>
<p class="version">Version ${escaped(String(version))} · <a href="/openapi.json">OpenAPI 3.1 document</a></p>
${typeof description === 'string' ? prose(description) : ''}
<p>Bodies and answers are JSON in UTF-8, members in <code>snake_case</code>. Times are RFC 3339 in UTC, ids are UUIDs.
Errors are <code>application/problem+json</code> (RFC 9457) with a stable <code>code</code>. Every answer names its request in
<code>X-Request-Id</code>.</p></header>`;
}

function section(document: OpenApiDocument, tag: JsonObject, operations: readonly Operation[]): string {
  const mine = operations.filter((one) => one.tag === tag['name']);
  const told = typeof tag['description'] === 'string' ? prose(tag['description']) : '';
  return `<section><h2>${escaped(heading(tag))}</h2>${told}${mine.map((one) => article(document, one)).join('\n')}</section>`;
}

function article(document: OpenApiDocument, operation: Operation): string {
  const { node, method, path, id } = operation;
  const description = node['description'];
  const body = bodySchema(node);
  const parameters = (node['parameters'] ?? []) as readonly JsonObject[];
  return `<article class="operation" id="${escaped(id)}">
<div class="head"><h3 class="line">${badge(method)}<a class="path" href="#${escaped(id)}">${breakable(path)}</a></h3>
<p class="summary">${inline(String(node['summary']))}</p>${facts(node)}</div>
<div class="columns"><div>
${typeof description === 'string' ? prose(description) : ''}
${parameters.length === 0 ? '' : `<h4>Parameters</h4>${parameterTable(parameters)}`}
${body === undefined ? '' : `<h4>Body</h4>${fieldTable(document, body)}`}
${answers(document, node)}
</div><div class="samples">${samples(document, operation, body)}</div></div>
</article>`;
}

function facts(node: JsonObject): string {
  const security = node['security'] as readonly JsonObject[];
  const items: string[] = [];
  if (security.length === 0) items.push('No authentication');
  else if ('bearer' in (security[0] ?? {})) items.push('Bearer access token');
  else items.push('Operations token, or a near address');
  const permission = node['x-required-permission'];
  if (typeof permission === 'string') items.push(`Permission <code>${escaped(permission)}</code>`);
  const limit = node['x-rate-limit-policy'];
  if (typeof limit === 'string') items.push(`Rate limit <code>${escaped(limit)}</code>`);
  return `<ul class="facts">${items.map((item) => `<li>${item}</li>`).join('')}</ul>`;
}

const bodySchema = (node: JsonObject): JsonObject | undefined => {
  const content = (node['requestBody'] as JsonObject | undefined)?.['content'] as JsonObject | undefined;
  return (content?.['application/json'] as JsonObject | undefined)?.['schema'] as JsonObject | undefined;
};

function parameterTable(parameters: readonly JsonObject[]): string {
  const rows = parameters.map((one) => {
    const told = typeof one['description'] === 'string' ? inline(one['description']) : '';
    const schema = one['schema'] as JsonObject;
    return `<tr><td><code>${escaped(String(one['name']))}</code>${requiredMark(one['required'] === true)}</td>
<td><span class="type">${escaped(String(one['in']))}, ${escaped(typeName(schema))}</span> ${told}</td></tr>`;
  });
  return `<div class="scroll"><table><tbody>${rows.join('')}</tbody></table></div>`;
}

/** The members of an object schema, nested ones by dotted name; other schemas by their type. */
function fieldTable(document: OpenApiDocument, schema: JsonObject): string {
  const rows = fieldRows(document, schema, '', 0);
  if (rows.length === 0) return `<p class="type">${escaped(typeName(resolve(document, schema)))}</p>`;
  return `<div class="scroll"><table><tbody>${rows.join('')}</tbody></table></div>`;
}

function fieldRows(document: OpenApiDocument, schema: JsonObject, prefix: string, depth: number): readonly string[] {
  const node = resolve(document, schema);
  const variants = node['anyOf'];
  if (Array.isArray(variants) && depth === 0) {
    return variants.flatMap((variant: JsonObject) => {
      const title = String(resolve(document, variant)['title'] ?? 'one of');
      return [`<tr><th colspan="2">${escaped(title)}</th></tr>`, ...fieldRows(document, variant, prefix, 1)];
    });
  }
  const required = new Set((node['required'] ?? []) as readonly string[]);
  return Object.entries((node['properties'] ?? {}) as JsonObject).flatMap(([name, value]) => {
    const property = resolve(document, value as JsonObject);
    const told = typeof property['description'] === 'string' ? inline(property['description']) : '';
    const row = `<tr><td><code>${escaped(prefix + name)}</code>${requiredMark(required.has(name))}</td>
<td><span class="type">${escaped(typeName(property, document))}</span> ${told}</td></tr>`;
    const items = property['items'] as JsonObject | undefined;
    const inner = property['type'] === 'array' && items !== undefined ? resolve(document, items) : property;
    const mark = inner === property ? '.' : '[].';
    return depth >= 3 ? [row] : [row, ...fieldRows(document, inner, `${prefix}${name}${mark}`, depth + 1)];
  });
}

const requiredMark = (required: boolean): string => (required ? ' <span class="required">required</span>' : '');

function typeName(node: JsonObject, document?: OpenApiDocument): string {
  if (node['const'] !== undefined) return JSON.stringify(node['const']);
  if (Array.isArray(node['enum'])) return node['enum'].map((one) => JSON.stringify(one)).join(' | ');
  const variants = node['anyOf'];
  if (Array.isArray(variants)) {
    return variants
      .map((one: JsonObject) => typeName(document === undefined ? one : resolve(document, one), document))
      .join(' | ');
  }
  if (node['type'] === 'array') {
    const items = (node['items'] ?? {}) as JsonObject;
    return `array of ${typeName(document === undefined ? items : resolve(document, items), document)}`;
  }
  const bounds = [
    node['format'],
    node['maxLength'] !== undefined && `at most ${String(node['maxLength'])} characters`,
    node['minimum'] !== undefined && `from ${String(node['minimum'])}`,
    node['maximum'] !== undefined && `to ${String(node['maximum'])}`,
  ].filter((bound) => typeof bound === 'string');
  return [String(node['type'] ?? 'any'), ...bounds].join(', ');
}

function answers(document: OpenApiDocument, node: JsonObject): string {
  const general: string[] = [];
  const blocks = Object.entries(node['responses'] as JsonObject).map(([status, value]) => {
    const response = resolve(document, value as JsonObject);
    const content = (response['content'] ?? {}) as JsonObject;
    const all = problemCodes(content);
    const codes = all.filter((code) => !generalErrors.has(code));
    general.push(...all.filter((code) => generalErrors.has(code)).map((code) => `${status} <code>${code}</code>`));
    const isError = all.length > 0 && Object.keys(content).length === 1;
    return isError && codes.length === 0 ? '' : answerBlock(document, status, response, codes);
  });
  const also =
    general.length === 0
      ? ''
      : `<p class="also">As every route, in error of form: ${general.join(', ')}. <a href="#errors">All codes</a></p>`;
  return `<h4>Answers</h4>${blocks.join('')}${also}`;
}

function answerBlock(
  document: OpenApiDocument,
  status: string,
  response: JsonObject,
  codes: readonly ErrorCode[],
): string {
  const content = Object.entries((response['content'] ?? {}) as JsonObject);
  const good = content.filter(([type]) => type !== 'application/problem+json');
  const isAnswer = good.length > 0 || codes.length === 0;
  const told = isAnswer ? inline(String(response['description'])) : '';
  const names = codes.map((code) => `<code>${code}</code>`).join(' ');
  const tables = good.map(([, one]) => fieldTable(document, (one as JsonObject)['schema'] as JsonObject));
  const meanings = codes.map((code) => `<dt><code>${code}</code></dt><dd>${escaped(errorTable[code].title)}.</dd>`);
  const list = meanings.length === 0 ? '' : `<dl class="codes">${meanings.join('')}</dl>`;
  const mark = Number(status) < 400 ? 'ok' : 'bad';
  const line = `<span class="status ${mark}">${status}</span> ${told} ${names}`;
  if (tables.length === 0 && list === '') return `<p class="plain">${line}</p>`;
  return `<details><summary>${line}</summary>${tables.join('')}${list}</details>`;
}

function problemCodes(content: JsonObject): readonly ErrorCode[] {
  const problem = content['application/problem+json'] as { examples?: JsonObject } | undefined;
  return Object.keys(problem?.examples ?? {}) as ErrorCode[];
}

function samples(document: OpenApiDocument, operation: Operation, body: JsonObject | undefined): string {
  const { node } = operation;
  const request = `<h4>Request</h4><pre tabindex="0"><code>${escaped(curl(document, operation, body))}</code></pre>`;
  const [status, value] = Object.entries(node['responses'] as JsonObject)[0] ?? [];
  if (status === undefined) return request;
  const content = (resolve(document, value as JsonObject)['content'] ?? {}) as JsonObject;
  const json = Object.entries(content).find(([type]) => type.startsWith('application/json'))?.[1] as
    | JsonObject
    | undefined;
  const schema = json?.['schema'] as JsonObject | undefined;
  if (json === undefined || schema === undefined || schema['type'] === 'string') return request;
  const example = JSON.stringify(json['example'] ?? exampleOf(document, schema), null, 2);
  return `${request}<h4>Answer ${escaped(status)}</h4><pre tabindex="0"><code>${escaped(example)}</code></pre>`;
}

function curl(document: OpenApiDocument, { node, method, path }: Operation, body: JsonObject | undefined): string {
  const url = path.replaceAll(/\{([a-z_]+)\}/g, '$$$1');
  const base = String(document.servers[0]?.['url'] ?? '').replace(/\/$/, '') || '$AUTH';
  const lines = [method === 'get' ? `curl "${base}${url}"` : `curl -X ${method.toUpperCase()} "${base}${url}"`];
  const security = node['security'] as readonly JsonObject[];
  if ('bearer' in (security[0] ?? {})) lines.push('-H "Authorization: Bearer $ACCESS_TOKEN"');
  if (body !== undefined) {
    const content = (node['requestBody'] as JsonObject)['content'] as JsonObject;
    const example = (content['application/json'] as JsonObject)['example'] ?? exampleOf(document, body);
    lines.push(
      '-H "Content-Type: application/json"',
      `-d '${JSON.stringify(example, null, 2).replaceAll('\n', '\n  ')}'`,
    );
  }
  return lines.join(' \\\n  ');
}

function errorSection(): string {
  const rows = Object.entries(errorTable).map(
    ([code, { status, title }]) =>
      `<tr><td><code>${escaped(code)}</code></td><td class="status">${status}</td><td>${escaped(title)}.</td></tr>`,
  );
  return `<section id="errors"><h2>Errors</h2><p>The <code>code</code> is stable; the texts may change.</p>
<div class="scroll"><table><thead><tr><th>Code</th><th>Status</th><th>Meaning</th></tr></thead><tbody>${rows.join('')}</tbody></table></div></section>`;
}

const badge = (method: string): string =>
  `<span class="method ${escaped(method)}">${escaped(method.toUpperCase())}</span>`;
const heading = (tag: JsonObject): string => {
  const name = String(tag['name']);
  return name.charAt(0).toUpperCase() + name.slice(1);
};
const shortPath = (path: string): string => path.replace(/^\/api/, '');
/** Long paths may break after a slash. */
const breakable = (path: string): string => escaped(path).replaceAll('/', '/<wbr>');
const prose = (words: string): string => `<p>${inline(words)}</p>`;
/** Text with `code` in backticks. */
const inline = (words: string): string => escaped(words).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

function escaped(words: string): string {
  return words
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
