/**
 * JSON Schemas with the types of what they describe: one source for validation, serialisation, OpenAPI and TypeScript.
 *
 * Only what this API needs, so that a service that starts loads one file for it. A schema is plain data; the type that it
 * describes exists for the compiler alone.
 */
declare const described: unique symbol;
declare const optional: unique symbol;

/** A JSON Schema (draft 2020-12) as plain data; `T` is what it describes. */
export interface Schema<T = unknown> {
  readonly [described]?: T;
  readonly [keyword: string]: unknown;
}

/** A member that may be missing. */
export interface OptionalSchema<T = unknown> extends Schema<T> {
  readonly [optional]: true;
}

/** Any schema. */
export type TSchema = Schema;

/** What a schema describes. */
export type Static<S extends Schema> = S extends { readonly [described]?: infer T } ? T : unknown;

type Members = Readonly<Record<string, Schema>>;
type OptionalKeys<M extends Members> = { [K in keyof M]: M[K] extends OptionalSchema ? K : never }[keyof M];
type Flat<T> = { [K in keyof T]: T[K] } & {};
type StaticObject<M extends Members> = Flat<
  { [K in Exclude<keyof M, OptionalKeys<M>>]: Static<M[K]> } & { [K in OptionalKeys<M>]?: Static<M[K]> }
>;

/** Annotations and limits, written into the schema as they are. */
type Keywords = Readonly<Record<string, unknown>>;

const optionalMembers = new WeakSet<object>();

const make = <T>(keywords: Keywords, more: Keywords = {}): Schema<T> => ({ ...keywords, ...more });

/**
 * Makes schemas. `more` holds annotations and limits (`description`, `maxLength`, …), which are written into the schema as
 * they are.
 */
export const Type = {
  String: (more?: Keywords) => make<string>({ type: 'string' }, more),
  Integer: (more?: Keywords) => make<number>({ type: 'integer' }, more),
  Number: (more?: Keywords) => make<number>({ type: 'number' }, more),
  Boolean: (more?: Keywords) => make<boolean>({ type: 'boolean' }, more),
  Null: (more?: Keywords) => make<null>({ type: 'null' }, more),
  Unknown: (more?: Keywords) => make<unknown>({}, more),
  Literal: <const V extends string | number | boolean>(value: V, more?: Keywords) =>
    make<V>({ type: typeof value, const: value }, more),
  Array: <S extends Schema>(items: S, more?: Keywords) => make<Static<S>[]>({ type: 'array', items }, more),
  Union: <const S extends readonly Schema[]>(anyOf: S, more?: Keywords) => make<Static<S[number]>>({ anyOf }, more),
  /** Members of any name. */
  Record: <S extends Schema>(_names: Schema<string>, values: S, more?: Keywords) =>
    make<Record<string, Static<S>>>({ type: 'object', patternProperties: { '^.*$': values } }, more),
  /** A schema of which only the caller knows what it describes. */
  Unsafe: <T>(keywords: Keywords) => make<T>(keywords),
  Optional: <S extends Schema>(schema: S): S & OptionalSchema<Static<S>> => {
    const copy = { ...schema };
    optionalMembers.add(copy);
    return copy as S & OptionalSchema<Static<S>>;
  },
  Object: <M extends Members>(properties: M, more?: Keywords) => {
    const required = Object.keys(properties).filter((name) => !optionalMembers.has(properties[name] ?? {}));
    return make<StaticObject<M>>({ type: 'object', ...(required.length > 0 ? { required } : {}), properties }, more);
  },
} as const;
