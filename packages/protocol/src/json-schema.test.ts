/** The schema makers: what they write, and what the compiler makes of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Static, Type } from './json-schema.ts';

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
const holds = <_Proof extends true>(): void => undefined;

describe('schemas', () => {
  test('an object requires the members that are not optional, and only those', () => {
    const schema = Type.Object({ a: Type.String(), b: Type.Optional(Type.Integer({ minimum: 0 })) }, { title: 'X' });
    assert.deepEqual(schema, {
      type: 'object',
      required: ['a'],
      properties: { a: { type: 'string' }, b: { type: 'integer', minimum: 0 } },
      title: 'X',
    });
    assert.deepEqual(Type.Object({ a: Type.Optional(Type.Null()) }), {
      type: 'object',
      properties: { a: { type: 'null' } },
    });
  });

  test('being optional belongs to the member: the schema it was made of stays required elsewhere', () => {
    const text = Type.String();
    Type.Object({ a: Type.Optional(text) });
    assert.deepEqual(Type.Object({ a: text })['required'], ['a']);
  });

  test('a schema is plain data: what is written out and read again is the same', () => {
    const schema = Type.Object({
      either: Type.Union([Type.Literal('a'), Type.Literal(true), Type.Null()]),
      list: Type.Array(Type.Number(), { maxItems: 3 }),
      any: Type.Record(Type.String(), Type.Unknown()),
    });
    assert.deepEqual(JSON.parse(JSON.stringify(schema)), schema);
  });

  test('the compiler knows what a schema describes', () => {
    const schema = Type.Object({
      name: Type.String(),
      kind: Type.Union([Type.Literal('a'), Type.Literal('b'), Type.Null()]),
      list: Type.Array(Type.Object({ n: Type.Integer() })),
      maybe: Type.Optional(Type.Boolean()),
      code: Type.Unsafe<'x' | 'y'>({ enum: ['x', 'y'] }),
    });
    type Wanted = {
      name: string;
      kind: 'a' | 'b' | null;
      list: { n: number }[];
      maybe?: boolean;
      code: 'x' | 'y';
    };
    holds<Same<Static<typeof schema>, Wanted>>();
    holds<Same<Same<Static<typeof schema>['name'], number>, false>>();
    // @ts-expect-error: a member that is required may not be missing.
    const missing: Static<typeof schema> = { kind: null, list: [], code: 'x' };
    assert.ok(missing);
  });
});
