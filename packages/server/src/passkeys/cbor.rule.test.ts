import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Cbor, encodeCbor } from '../../../../tests/support/authenticator.ts';
import { isShallowAuthenticatorData, isShallowCbor } from './cbor.rule.ts';

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('WAK-04 items that are whole and shallow pass, one or several', () => {
  for (const text of [
    '',
    '00',
    'f6',
    '1819',
    '1bffffffffffffffff',
    '80',
    'a0',
    '820102',
    'a16161 820102',
    '43010203',
    '6161',
    'c100',
    'fb3ff0000000000000',
    '8181818181818180',
    'a0 a0 00',
  ]) {
    assert.equal(isShallowCbor(hex(text)), true, text);
  }
});

test('WAK-04 what is cut, endless, longer than it is, or deeper than a parser should follow does not pass', () => {
  for (const text of [
    '18',
    '19ff',
    '81',
    '8201',
    'a1',
    'a100',
    '4301',
    'c1',
    '9aFFFFFFFF',
    'bb0020000000000000',
    '7bffffffffffffffff',
    '9bffffffffffffffff',
    '9f00ff',
    'bf616101ff',
    '5f4100ff',
    '1c',
    'ff',
    `${'81'.repeat(9)}00`,
    `${'a100'.repeat(9)}00`,
    `${'c1'.repeat(9)}00`,
    '81'.repeat(12_288),
  ]) {
    assert.equal(isShallowCbor(hex(text)), false, text.slice(0, 40));
  }
});

test('WAK-04 whatever an encoder makes passes, and none of its beginnings does', () => {
  const leaf = fc.oneof(
    fc.integer({ min: -60_000, max: 60_000 }),
    fc.string({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
  );
  const key = fc.oneof(fc.integer({ min: -300, max: 300 }), fc.string({ maxLength: 30 }));
  const map = (values: fc.Arbitrary<Cbor>): fc.Arbitrary<Cbor> => fc.array(fc.tuple(key, values), { maxLength: 5 });
  fc.assert(
    fc.property(map(map(leaf)), fc.nat(), (value, cut) => {
      const bytes = encodeCbor(value);
      assert.equal(isShallowCbor(bytes), true);
      const at = cut % bytes.length;
      if (at > 0) assert.equal(isShallowCbor(bytes.subarray(0, at)), false);
    }),
  );
});

test('WAK-04 any bytes are judged, and never a failure', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(typeof isShallowCbor(bytes), 'boolean');
      assert.equal(typeof isShallowAuthenticatorData(bytes), 'boolean');
    }),
  );
});

test('WAK-04 the key and the extensions behind authenticator data are looked at, wherever the id ends', () => {
  const fixed = (flags: number): Buffer => Buffer.concat([Buffer.alloc(32), Buffer.from([flags, 0, 0, 0, 0])]);
  const attested = Buffer.concat([Buffer.alloc(16), Buffer.from([0, 2, 0x81, 0x81])]);
  const deep = hex(`${'81'.repeat(9)}00`);
  assert.equal(isShallowAuthenticatorData(fixed(5)), true);
  assert.equal(isShallowAuthenticatorData(Buffer.concat([fixed(0x85), hex('a0')])), true);
  assert.equal(isShallowAuthenticatorData(Buffer.concat([fixed(0x85), deep])), false);
  assert.equal(isShallowAuthenticatorData(Buffer.concat([fixed(0x45), attested, hex('a0')])), true);
  assert.equal(isShallowAuthenticatorData(Buffer.concat([fixed(0x45), attested, deep])), false);
  assert.equal(isShallowAuthenticatorData(fixed(0x45)), false);
  assert.equal(isShallowAuthenticatorData(Buffer.alloc(36)), false);
});
