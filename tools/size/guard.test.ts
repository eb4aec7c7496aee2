/** What a service or a worker pays for guard and protocol: the guard in 16 KiB, one door and no other, no schema for a code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bundle, bundle } from './bundle.ts';

const guardBytesMax = 16 * 1024;
const doorBytesMax = 1_280;
const mutualTlsBytesMax = 1_536;
const errorTableBytesMax = 1_280;
const permissionsBytesMax = 256;

const doorsOf = (source: string): string => `./packages/guard/src/doors/${source}.ts`;
const guard = './packages/guard/src/index.ts';
const protocol = './packages/protocol/src/index.ts';
/** Other packages that stay in a door: types do not, and so most have none. */
const frameworks = { express: [], fastify: [], hono: [], nest: ['@nestjs/common'], node: [], web: [] } as const;
const doors = Object.keys(frameworks) as readonly (keyof typeof frameworks)[];
/** On `node:http` is built what is made of its messages, and on web-standard requests what is made of those. */
const built: Readonly<Record<string, string>> = { express: 'node', fastify: 'node', nest: 'node', hono: 'web' };

const using = (...imports: readonly (readonly [name: string, from: string])[]): Promise<Bundle> => {
  const lines = imports.map(([name, from], at) => `import { ${name} as used${at} } from '${from}';`);
  return bundle(`${lines.join('\n')}\nglobalThis.used = [${lines.map((_, at) => `used${at}`)}];`, 'node');
};
const doorsIn = ({ sources }: Bundle): readonly string[] =>
  doors.filter((door) => sources.includes(`guard/src/doors/${door}.ts`));
const schemasIn = ({ sources }: Bundle): readonly string[] =>
  sources.filter((source) => /^protocol\/src\/(?:json-schema|schemas|administration|metadata|http)/.test(source));

test('a guard in a worker is at most 16 KiB gzipped, and wants nothing of Node but its crypto and buffers', async () => {
  const worker = await using(['createGuard', guard], ['createDoor', doorsOf('web')]);
  assert.ok(worker.gzipBytes <= guardBytesMax, `${worker.gzipBytes} bytes`);
  assert.deepEqual(worker.imports, ['node:buffer', 'node:crypto']);
  assert.deepEqual(doorsIn(worker), ['web']);
  assert.deepEqual(schemasIn(worker), []);
});

for (const door of doors) {
  test(`the door of ${door} alone brings no other framework, no other door, no guard, and at most 1.25 KiB`, async () => {
    const alone = await using(['createDoor', doorsOf(door)]);
    assert.deepEqual(alone.imports, frameworks[door]);
    assert.deepEqual(
      doorsIn(alone),
      doors.filter((other) => other === door || other === built[door]),
    );
    assert.ok(!alone.sources.some((source) => /create-guard|verify|replica/.test(source)), alone.sources.join(' '));
    assert.ok(alone.gzipBytes <= doorBytesMax, `${alone.gzipBytes} bytes`);
  });
}

test('mutual TLS costs those who use it, and nobody else', async () => {
  const alone = await using(['createMutualTls', './packages/guard/src/mutual-tls.ts']);
  assert.deepEqual(alone.sources, ['guard/src/mutual-tls.ts']);
  assert.ok(alone.gzipBytes <= mutualTlsBytesMax, `${alone.gzipBytes} bytes`);
});

test('the codes and the permissions of the protocol bring no schema', async () => {
  const codes = await using(['errorTable', protocol]);
  assert.deepEqual(codes.sources, ['protocol/src/errors.ts']);
  assert.ok(codes.gzipBytes <= errorTableBytesMax, `${codes.gzipBytes} bytes`);
  const permissions = await using(['covers', protocol]);
  assert.deepEqual(permissions.sources, ['protocol/src/permissions.ts']);
  assert.ok(permissions.gzipBytes <= permissionsBytesMax, `${permissions.gzipBytes} bytes`);
});

test('the measure sees what it forbids: a second door, a framework, a schema, the guard in a door', async () => {
  const two = await using(['createDoor', doorsOf('nest')], ['createDoor', doorsOf('hono')]);
  assert.deepEqual(doorsIn(two), ['hono', 'nest', 'node', 'web']);
  assert.deepEqual(two.imports, ['@nestjs/common']);
  const guarded = await using(['createDoor', doorsOf('node')], ['createGuard', guard]);
  assert.ok(guarded.gzipBytes > doorBytesMax, `${guarded.gzipBytes} bytes`);
  const schema = await using(['errorTable', protocol], ['LoginBodySchema', protocol]);
  assert.deepEqual(schemasIn(schema), ['protocol/src/json-schema.ts', 'protocol/src/schemas.ts']);
  assert.ok(schema.gzipBytes > errorTableBytesMax, `${schema.gzipBytes} bytes`);
});
