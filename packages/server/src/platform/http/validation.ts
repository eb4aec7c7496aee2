/**
 * Values against schemas: types are exact, nothing is coerced, filled in or removed. What does not fit is told as JSON
 * pointers with a code and a sentence of ours, and never with the value that was sent.
 */

import type { TSchema } from '@auth-service/protocol';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { FieldError } from './route.ts';

const errorsMax = 20;

/** RFC 9562 text form. */
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const dateTime = /^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(?:\.\d{1,9})?(?:Z|[+-][0-2]\d:[0-5]\d)$/;

export const makeAjv = (): Ajv =>
  new Ajv({
    allErrors: true,
    strict: true,
    allowUnionTypes: true,
    coerceTypes: false,
    useDefaults: false,
    removeAdditional: false,
    // `required` looks at own members only: `{}` does not have a `constructor`.
    ownProperties: true,
    formats: { uuid, 'date-time': dateTime, uri: true, email: true },
  });

export type Check = (value: unknown) => readonly FieldError[] | undefined;

/** A check that answers `undefined` for what fits. */
export function compileCheck(ajv: Ajv, schema: TSchema): Check {
  const validate: ValidateFunction = ajv.compile(schema);
  return (value) => (validate(value) ? undefined : fieldErrors(validate.errors ?? []));
}

/** `schema` with every object refusing, or every object taking no notice of, members that it does not name. */
export function withUnknownFields(schema: TSchema, unknownFields: 'refuse' | 'ignore'): TSchema {
  return rewrite(schema, unknownFields) as TSchema;
}

function rewrite(node: unknown, unknownFields: 'refuse' | 'ignore'): unknown {
  if (Array.isArray(node)) return node.map((item) => rewrite(item, unknownFields));
  if (typeof node !== 'object' || node === null) return node;
  const made: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(node)) {
    // What is data of the schema (`const`, `enum`, examples) is not schema.
    made[key] = key === 'const' || key === 'enum' || key === 'examples' ? value : rewrite(value, unknownFields);
  }
  const closes = typeof made['additionalProperties'] !== 'object';
  if (made['type'] === 'object' && made['properties'] !== undefined && closes) {
    if (unknownFields === 'refuse') made['additionalProperties'] = false;
    else delete made['additionalProperties'];
  }
  return made;
}

function fieldErrors(raw: readonly ErrorObject[]): readonly FieldError[] {
  const byPointer = new Map<string, FieldError>();
  for (const error of raw) {
    // A union tells the failure of each branch: one entry a place, and never "must be null" of an optional text.
    if (error.keyword === 'anyOf' || error.keyword === 'oneOf') continue;
    if (error.keyword === 'type' && error.params['type'] === 'null') continue;
    const entry = fieldError(error);
    if (!byPointer.has(entry.pointer)) byPointer.set(entry.pointer, entry);
    if (byPointer.size >= errorsMax) break;
  }
  if (byPointer.size > 0) return [...byPointer.values()];
  return [
    { pointer: raw[0]?.instancePath ?? '', code: 'invalid', detail: 'The value is not one of the allowed forms.' },
  ];
}

function fieldError(error: ErrorObject): FieldError {
  const pointer = error.instancePath;
  const params: Readonly<Record<string, unknown>> = error.params;
  const limit = String(params['limit']);
  switch (error.keyword) {
    case 'required':
      return {
        pointer: `${pointer}/${escapePointer(String(params['missingProperty']))}`,
        code: 'required',
        detail: 'This member is missing.',
      };
    case 'additionalProperties':
      return {
        pointer: `${pointer}/${escapePointer(String(params['additionalProperty']))}`,
        code: 'unknown_field',
        detail: 'This member is not known here.',
      };
    case 'type':
      return { pointer, code: 'wrong_type', detail: `This must be of type ${String(params['type'])}.` };
    case 'minLength':
      return { pointer, code: 'too_short', detail: `This must have at least ${limit} characters.` };
    case 'maxLength':
      return { pointer, code: 'too_long', detail: `This must have at most ${limit} characters.` };
    case 'minItems':
      return { pointer, code: 'too_few', detail: `This must have at least ${limit} items.` };
    case 'maxItems':
      return { pointer, code: 'too_many', detail: `This must have at most ${limit} items.` };
    case 'minimum':
    case 'maximum':
      return { pointer, code: 'out_of_range', detail: `This must be ${String(params['comparison'])} ${limit}.` };
    case 'const':
    case 'enum':
      return { pointer, code: 'invalid', detail: 'This is not one of the allowed values.' };
    default:
      return { pointer, code: 'invalid', detail: 'This does not have the required form.' };
  }
}

/** RFC 6901; a name of the sender's own making is cut. */
const escapePointer = (name: string): string =>
  name.slice(0, 64).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1');

/** Reads a query by its schema: which names, and which of them are integers or booleans. */
export type QueryReader = (search: string) => {
  readonly value: Readonly<Record<string, unknown>>;
  readonly errors: readonly FieldError[];
};

/** Names that the schema does not have are taken no notice of; one that is given twice is an error. */
export function compileQuery(schema: TSchema): QueryReader {
  const properties = (schema as { properties?: Readonly<Record<string, { type?: string }>> }).properties ?? {};
  const kinds = new Map(Object.entries(properties).map(([name, property]) => [name, property.type]));
  return (search) => {
    const value: Record<string, unknown> = {};
    const errors: FieldError[] = [];
    const seen = new Set<string>();
    for (const [name, text] of new URLSearchParams(search)) {
      if (!kinds.has(name)) continue;
      if (seen.has(name)) {
        errors.push({
          pointer: `/${escapePointer(name)}`,
          code: 'duplicate',
          detail: 'This was given more than once.',
        });
        break;
      }
      seen.add(name);
      value[name] = readText(text, kinds.get(name));
    }
    return { value, errors };
  };
}

function readText(text: string, kind: string | undefined): unknown {
  if ((kind === 'integer' || kind === 'number') && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}
