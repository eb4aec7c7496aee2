import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseJson } from './json.ts';

const parse = (text: string) => parseJson(Buffer.from(text, 'utf8'));
const refusesWith = (text: string | Buffer, detail: RegExp) => {
  const parsed = parseJson(Buffer.from(text));
  assert.equal(parsed.ok, false, String(text).slice(0, 60));
  assert.match(parsed.ok ? '' : parsed.detail, detail);
};

/** Members with names, some twice, spelled in ways that mean the same. */
type Tree =
  | { kind: 'leaf'; text: string }
  | { kind: 'list'; items: Tree[] }
  | { kind: 'object'; members: [string, Tree][] };

const nameText = fc.constantFrom('a', 'b', '__proto__', 'constructor', 'a:b', '{"', '\\', 'é', ' ', '');
const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.record({
      kind: fc.constant('leaf' as const),
      text: fc.constantFrom('1', 'null', 'true', '-0.5e3', '"x:y"', '"{\\"a\\":1}"', '""'),
    }),
    fc.record({ kind: fc.constant('list' as const), items: fc.array(tie('tree'), { maxLength: 3 }) }),
    fc.record({
      kind: fc.constant('object' as const),
      members: fc.array(fc.tuple(nameText, tie('tree')), { maxLength: 4 }),
    }),
  ),
})).tree;

const spell = (name: string, escaped: boolean): string =>
  escaped
    ? `"${[...name].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`
    : JSON.stringify(name);

/** The text of a tree; every name as it was spelled goes into `names`. */
function write(node: Tree, flips: () => boolean, names: string[]): string {
  const gap = flips() ? ' ' : '';
  if (node.kind === 'leaf') return node.text;
  if (node.kind === 'list') return `[${gap}${node.items.map((item) => write(item, flips, names)).join(`${gap},`)}]`;
  const members = node.members.map(([key, value]) => {
    const name = spell(key, flips());
    names.push(name);
    return `${name}${gap}:${write(value, flips, names)}`;
  });
  return `{${members.join(',')}}`;
}

function hasDuplicates(node: Tree): boolean {
  if (node.kind === 'leaf') return false;
  if (node.kind === 'list') return node.items.some(hasDuplicates);
  const names = node.members.map(([key]) => key);
  return new Set(names).size < names.length || node.members.some(([, value]) => hasDuplicates(value));
}

describe('strict JSON', () => {
  test('INP-04 a text is refused exactly when a member is given twice, or its name is written with escapes', () => {
    fc.assert(
      fc.property(tree, fc.infiniteStream(fc.boolean()), (node, stream) => {
        const names: string[] = [];
        const text = write(node, () => stream.next().value === true, names);
        const parsed = parse(text);
        assert.equal(parsed.ok, !hasDuplicates(node) && !names.some((name) => name.includes('\\')), text);
        if (parsed.ok) assert.deepEqual(parsed.value, JSON.parse(text));
      }),
      { numRuns: 3000 },
    );
  });

  test('any bytes are either what JSON.parse makes of them, or refused, and never a throw', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          const parsed = parseJson(bytes);
          if (parsed.ok) assert.deepEqual(parsed.value, JSON.parse(Buffer.from(bytes).toString('utf8')));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('INP-04 duplicates are told as such', () => {
    refusesWith('{"email":"a","email":"b"}', /more than once/);
    refusesWith('{"email":"a","\\u0065mail":"b"}', /written with escapes/);
    refusesWith('[{"a":{"b":1,"b":1}}]', /more than once/);
  });

  test('INP-04 an escaped name is not read as the name that another body had at its place', () => {
    // Node 24's own parser, after the first text, answers a member `\u006` for the second.
    JSON.parse('{"email":1,"\\\\u006":2}');
    refusesWith('{"email":1,"\\u0065mail":2}', /written with escapes/);
  });

  test('INP-05 a byte order mark, other encodings and lone surrogates are refused', () => {
    refusesWith(Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]), /byte order mark/);
    refusesWith(Buffer.from('{"a":1}', 'utf16le'), /not valid JSON|not UTF-8/);
    refusesWith(Buffer.from([0x22, 0xff, 0x22]), /not UTF-8/);
    refusesWith(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), /not UTF-8/);
    refusesWith('"\\ud800"', /well-formed/);
    refusesWith('{"\\udfff":1}', /written with escapes/);
    assert.deepEqual(parse('"\\ud83d\\ude00"'), { ok: true, value: '😀' });
  });

  test('DOS-01 depth 20 and 1,000 items are taken, one more is refused', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    assert.equal(parse(nested(20)).ok, true);
    refusesWith(nested(21), /deeper than 20/);
    refusesWith(nested(30_000), /deeper than 20/);
    assert.equal(parse(`[${Array(1000).fill('1').join()}]`).ok, true);
    refusesWith(`[${Array(1001).fill('1').join()}]`, /1000 items/);
  });

  test('INP-03 names of the prototype are members like others and change nothing else', () => {
    const parsed = parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
    assert.ok(parsed.ok);
    assert.deepEqual(Object.keys(parsed.value as object), ['__proto__', 'constructor']);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });
});
