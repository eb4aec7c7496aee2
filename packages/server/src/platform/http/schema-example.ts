/** A plausible value of a schema, for the reference page. The same schema gives the same value. */
import type { JsonObject, OpenApiDocument } from './openapi.ts';

const depthMax = 8;

/** By member name, where a schema says only "text". */
const byName: Readonly<Record<string, unknown>> = {
  email: 'ada@example.org',
  password: 'correct horse battery staple',
  first_name: 'Ada',
  last_name: 'Lovelace',
  access_token: 'eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6…',
  refresh_token: 'rt_8Zq0…',
  token: 'eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6…',
  device_token: 'dt_4mX1…',
  position: 'AAAB3w',
  roles: ['user'],
  permissions: ['profile:read'],
  required_permissions: ['users:read'],
  pending_nodes: [],
  amr: ['pwd'],
  acr: 'aal1',
  ip: '203.0.113.7',
  user_agent: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0',
  browser: 'Firefox',
  os: 'Linux',
  type: 'desktop',
  iss: 'https://auth.example.org',
  aud: 'auth-service',
  client_id: 'auth-service',
  node: 'auth-1',
  version: '1.0.0',
  expires_in: 3557,
  refresh_expires_in: 604_800,
  acknowledged_nodes: 1,
  revoked_sessions: 2,
  uptime_s: 86_400,
  iat: 1_767_225_600,
  exp: 1_767_229_157,
  auth_time: 1_767_225_600,
  epoch: 0,
  max_age: 3600,
  email_verified: true,
  current: true,
  effective_everywhere: true,
};

export function exampleOf(document: OpenApiDocument, schema: unknown, name = '', depth = 0): unknown {
  if (typeof schema !== 'object' || schema === null || depth > depthMax) return null;
  const node = resolve(document, schema as JsonObject);
  if (node['example'] !== undefined) return node['example'];
  if (node['const'] !== undefined) return node['const'];
  const choices = node['enum'] ?? node['anyOf'] ?? node['oneOf'];
  if (Array.isArray(node['enum'])) return node['enum'][0];
  if (Array.isArray(choices)) return exampleOf(document, choices[0], name, depth + 1);
  if (name in byName && (node['type'] === 'string' || node['type'] === typeOf(byName[name]))) return byName[name];
  switch (node['type']) {
    case 'object':
      return exampleOfObject(document, node, depth);
    case 'array': {
      const item = exampleOf(document, node['items'], name, depth + 1);
      return item === null ? [] : [item];
    }
    case 'boolean':
      return false;
    case 'integer':
    case 'number':
      return typeof node['minimum'] === 'number' ? node['minimum'] : 1;
    case 'string':
      if (node['format'] === 'uuid') return '019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88';
      return node['format'] === 'date-time' ? '2026-01-01T12:00:00.000Z' : 'text';
    default:
      return null;
  }
}

function exampleOfObject(document: OpenApiDocument, node: JsonObject, depth: number): JsonObject {
  const properties = (node['properties'] ?? {}) as JsonObject;
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, exampleOf(document, property, name, depth + 1)]),
  );
}

const typeOf = (value: unknown): string => {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'number' ? 'integer' : typeof value;
};

/** Follows one local reference, into `#/components/…`. */
export function resolve(document: OpenApiDocument, node: JsonObject): JsonObject {
  const reference = node['$ref'];
  if (typeof reference !== 'string') return node;
  let at: unknown = document;
  for (const step of reference.replace(/^#\//, '').split('/')) at = (at as JsonObject | undefined)?.[step];
  if (typeof at !== 'object' || at === null) throw new Error(`the document has no ${reference}`);
  return at as JsonObject;
}
