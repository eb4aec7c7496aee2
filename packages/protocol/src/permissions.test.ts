import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { covers, coversAll, intersect, isPermission } from './permissions.ts';

const part = fc.constantFrom('*', 'a', 'b', 'c');
const permission = fc.tuple(part, part).map(([resource, action]) => `${resource}:${action}`);
const permissions = fc.uniqueArray(permission, { maxLength: 6 });

test('a permission covers another part by part, and a star any value of its part', () => {
  const parts = ['*', 'a', 'aa', 'b'];
  const pairs = parts.flatMap((resource) => parts.map((action) => [resource, action] as const));
  for (const [resource, action] of pairs) {
    for (const [wantedResource, wantedAction] of pairs) {
      const expected = (resource === '*' || resource === wantedResource) && (action === '*' || action === wantedAction);
      const said = covers(`${resource}:${action}`, `${wantedResource}:${wantedAction}`);
      assert.equal(said, expected, `${resource}:${action} and ${wantedResource}:${wantedAction}`);
    }
  }
  for (const odd of ['', 'a', '*', ':', 'a:b:c', '**']) {
    for (const other of ['', 'a', 'b', 'a:b', 'a:b:d']) {
      assert.equal(covers(odd, other), false, `${odd} and ${other}`);
      assert.equal(covers(other, odd), false, `${other} and ${odd}`);
    }
  }
  assert.equal(covers('*:*', 'a'), false);
});

test('what two sets have in common is what both cover, and nothing else', () => {
  fc.assert(
    fc.property(permissions, permissions, permission, (one, other, wanted) => {
      const common = intersect(one, other);
      assert.ok(common.every(isPermission));
      assert.equal(coversAll(common, [wanted]), coversAll(one, [wanted]) && coversAll(other, [wanted]));
    }),
  );
});

test('what two sets have in common is told without repetition, in one order, whichever comes first', () => {
  fc.assert(
    fc.property(permissions, permissions, (one, other) => {
      const common = intersect(one, other);
      assert.deepEqual(common, intersect(other, one));
      for (const left of common) {
        for (const right of common) assert.equal(left !== right && covers(left, right), false);
      }
    }),
  );
});
