/**
 * The table of routes, compiled once: patterns over the path **as sent**, checks, and the `Allow` of each path. A path
 * has one spelling: no trailing or double slash, no `;`, no percent-encoding or other case in its literal segments.
 */

import type { TSchema } from '@auth-service/protocol';
import type { Ajv } from 'ajv';
import type { RouteDefinition } from './route.ts';
import { type Check, compileCheck, compileQuery, type QueryReader, withUnknownFields } from './validation.ts';

export interface CompiledRoute {
  readonly definition: RouteDefinition;
  readonly checkBody: Check | undefined;
  /** No body is the same as `{}`: there is no schema, or none of its members is required. */
  readonly bodyMayBeAbsent: boolean;
  readonly checkParams: Check | undefined;
  readonly readQuery: QueryReader | undefined;
  readonly checkQuery: Check | undefined;
}

export interface PathEntry {
  readonly path: string;
  readonly byMethod: ReadonlyMap<string, CompiledRoute>;
  /** Value of `Allow`: what the path answers to, HEAD and OPTIONS included. */
  readonly allow: string;
  /** The path's parameters, decoded; `undefined` when `path` is not this entry's, or not well encoded. */
  match(path: string): Readonly<Record<string, string>> | undefined;
}

const noParams: Readonly<Record<string, string>> = Object.freeze({});

export function compileRoutes(routes: readonly RouteDefinition[], ajv: Ajv): readonly PathEntry[] {
  const byPath = new Map<string, Map<string, CompiledRoute>>();
  for (const definition of routes) {
    const methods = byPath.get(definition.path) ?? new Map<string, CompiledRoute>();
    if (methods.has(definition.method)) throw new Error(`two routes are ${definition.method} ${definition.path}`);
    methods.set(definition.method, compileRoute(definition, ajv));
    byPath.set(definition.path, methods);
  }
  return [...byPath].map(([path, methods]) => {
    const get = methods.get('GET');
    if (get !== undefined) methods.set('HEAD', get);
    const allow = [...methods.keys(), 'OPTIONS'].sort().join(', ');
    return { path, byMethod: methods, allow, match: matcher(path) };
  });
}

function compileRoute(definition: RouteDefinition, ajv: Ajv): CompiledRoute {
  const body = definition.body === undefined ? undefined : withUnknownFields(definition.body, definition.unknownFields);
  const checkBody = body === undefined ? undefined : compileCheck(ajv, body);
  return {
    definition,
    checkBody,
    bodyMayBeAbsent: checkBody === undefined || checkBody({}) === undefined,
    checkParams: definition.params === undefined ? undefined : compileCheck(ajv, definition.params),
    readQuery: definition.query === undefined ? undefined : compileQuery(definition.query),
    checkQuery: definition.query === undefined ? undefined : compileCheck(ajv, open(definition.query)),
  };
}

const open = (schema: TSchema): TSchema => withUnknownFields(schema, 'ignore');

function matcher(path: string): PathEntry['match'] {
  const names = [...path.matchAll(/:([a-z_]+)/g)].map((found) => found[1] ?? '');
  if (names.length === 0) return (sent) => (sent === path ? noParams : undefined);
  const literal = path.split(/:[a-z_]+/).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(`^${literal.join('([^/;?#]+)')}$`);
  return (sent) => {
    const found = pattern.exec(sent);
    if (found === null) return undefined;
    const params: Record<string, string> = {};
    try {
      for (const [index, name] of names.entries()) params[name] = decodeURIComponent(found[index + 1] ?? '');
    } catch {
      return undefined;
    }
    return params;
  };
}
