import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { canonicalEmail } from './email.rule.ts';

function accepted(input: string): { email: string; key: string } {
  const result = canonicalEmail(input);
  assert.ok(result.ok, `${JSON.stringify(input)} is accepted`);
  return result;
}

function refusal(input: string): string {
  const result = canonicalEmail(input);
  assert.ok(!result.ok, `${JSON.stringify(input)} is refused`);
  return result.problem;
}

describe('canonicalEmail', () => {
  test('keeps the local part as typed, lower-cases the domain, and compares without case', () => {
    assert.deepEqual(canonicalEmail('  Ada.Lovelace+x@Example.COM '), {
      ok: true,
      email: 'Ada.Lovelace+x@example.com',
      key: 'ada.lovelace+x@example.com',
    });
    assert.equal(accepted("O'Brien@example.ie").key, "o'brien@example.ie");
  });

  test('EML-01 a domain is one and the same in Unicode, composed or not, and as A-labels', () => {
    const spellings = ['a@bücher.de', 'a@bu\u0308cher.de', 'a@BÜCHER.de', 'a@xn--bcher-kva.de', 'a@XN--BCHER-KVA.DE'];
    for (const spelling of spellings) assert.equal(accepted(spelling).email, 'a@xn--bcher-kva.de');
    assert.equal(accepted('a@faß.de').key, 'a@xn--fa-hia.de');
    assert.equal(accepted('a@ΣΑΣ.gr').key, accepted('a@σασ.gr').key);
  });

  test('EML-01 local parts beyond ASCII are compared in NFC and without case', () => {
    const key = accepted('jörg@example.com').key;
    assert.equal(accepted('Jo\u0308rg@example.com').key, key);
    assert.equal(accepted('JÖRG@example.com').key, key);
    assert.equal(accepted('ΑΣ@example.com').key, accepted('ας@example.com').key);
    assert.notEqual(accepted('jorg@example.com').key, key);
  });

  test('EML-01 what maps onto other characters is refused before it is mapped', () => {
    const lookAlikes = [
      '\u212Aate@example.com', // Kelvin sign
      '\u0130da@example.com', // dotted capital I
      '\u017Fam@example.com', // long s
      'ｖｉｃｔｉｍ@example.com',
      'victim@ｅxample.com',
      'victim@\u212Aiwi.com',
      'victim@\u0130x.com',
      'victim\uFF20example.com',
      'victim@x.com\uFF20attacker.com',
      'victim\uFE6Bexample.com',
      'vic\u2024tim@example.com',
      'victim@example\u2024com',
      'victim@example\uFE52com',
      'victim@example\uFF0Ecom',
      'victim@example\u3002com',
      'vic\u200Btim@example.com',
      'vic\u200Dtim@example.com',
      'vic\u00ADtim@example.com',
      'vic\u3164tim@example.com',
      '\u202Evictim@example.com',
      'victim@exam\u200Fple.com',
      'victim@example.com\uFEFF',
      'victim@example.com\u00A0',
      '\u0301victim@example.com',
      'v\u0456ctim@example.com', // Cyrillic i among Latin letters
      'victim@ex\u0430mple.com',
    ];
    for (const address of lookAlikes) assert.equal(refusal(address), 'invalid', JSON.stringify(address));
  });

  test('EML-01 the dotless i is another account, never the one with an i', () => {
    assert.notEqual(accepted('v\u0131ctim@example.com').key, accepted('victim@example.com').key);
    assert.notEqual(accepted('V\u0131CTIM@example.com').key, accepted('VICTIM@example.com').key);
    assert.notEqual(accepted('a@s\u0131te.com').key, accepted('a@site.com').key);
  });

  test('EML-02 more than one address, routes, comments, quotes and header injection are refused', () => {
    const hostile = [
      'a@b@c.com',
      '"e@attacker.com"@victim.com',
      '"quoted"@victim.com',
      'a@b.com,c@d.com',
      'a@b.com;c@d.com',
      'a@b.com c@d.com',
      'a@b.com\r\nBcc: x@y.com',
      'a@b.com\r\n',
      'a@b.com\0',
      'a(comment)@b.com',
      '@relay.com:a@b.com',
      'a%b.com@relay.com',
      'b.com!a@relay.com',
      '<script>@b.com',
      'Ada <a@b.com>',
      'a\\@b.com',
      'a@[127.0.0.1]',
      'a@127.0.0.1',
      'a@0x7f.1',
      'a@0x7f.0x1',
      'a@b',
      'a@b.com.',
      'a@.com',
      'a@b..com',
      'a@-b.com',
      'a@b-.com',
      'a@a_b.com',
      'a@ab--c.com',
      'a@xn--a.com',
      'a@xn--.com',
      'a@xn--abc-.com',
      'a@b%2ecom.com',
      '.a@b.com',
      'a.@b.com',
      'a..b@b.com',
      '@b.com',
      'a@',
      'a',
      'a\uD800@b.com',
    ];
    for (const address of hostile) assert.equal(refusal(address), 'invalid', JSON.stringify(address));
    assert.equal(refusal(''), 'empty');
    assert.equal(refusal('   '), 'empty');
  });

  test('EML-02 lengths are counted in octets: 64 of the local part, 254 in all', () => {
    const domain = (octets: number) => `${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(octets - 126)}.com`;
    accepted(`${'a'.repeat(64)}@b.com`);
    assert.equal(refusal(`${'a'.repeat(65)}@b.com`), 'too_long');
    accepted(`${'é'.repeat(32)}@b.com`);
    assert.equal(refusal(`${'é'.repeat(33)}@b.com`), 'too_long');
    accepted(`${'a'.repeat(64)}@${domain(189)}`);
    assert.equal(refusal(`${'a'.repeat(65)}@${domain(189)}`), 'too_long');
    assert.equal(refusal(`aa@b.${'c'.repeat(64)}`), 'invalid');
    assert.equal(refusal('a@'.repeat(500_000)), 'too_long');
  });

  test('what was accepted is accepted again, unchanged, as typed and by its key', () => {
    const character = fc.oneof(
      { weight: 14, arbitrary: fc.constantFrom(...'abcXYZ019.-+_@') },
      {
        weight: 3,
        arbitrary: fc.constantFrom(...'éÉßẞıİſΣςσжЖ日本', 'u\u0308', '\u0301', '\u212A', '\u212B', 'Ꭰ', 'ꭰ'),
      },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
    );
    const address = fc
      .tuple(fc.array(character, { maxLength: 6 }), fc.array(character, { maxLength: 6 }))
      .map(([local, domain]) => `${local.join('')}@${domain.join('')}.com`);
    let seen = 0;
    fc.assert(
      fc.property(address, (input) => {
        const first = canonicalEmail(input);
        if (!first.ok) return;
        seen++;
        assert.deepEqual(canonicalEmail(first.email), first);
        const byKey = canonicalEmail(first.key);
        assert.ok(byKey.ok && byKey.key === first.key && byKey.email === first.key);
        assert.match(first.key, /^[^@]+@[a-z0-9.-]+$/);
        assert.equal(first.key, first.key.normalize('NFKC'));
      }),
      { numRuns: 5000 },
    );
    assert.ok(seen > 200, `${seen} accepted inputs were seen`);
  });

  test('EML-01 no input with a character outside ASCII in its local part has the key of an ASCII address', () => {
    for (let point = 0x80; point <= 0x1_ffff; point++) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const character = String.fromCodePoint(point);
      for (const address of [`${character}@b.com`, `a@${character}.com`]) {
        const result = canonicalEmail(address);
        if (result.ok && /^[\0-\u007f]*$/.test(result.key))
          assert.match(result.key, /^a@xn--/, `U+${point.toString(16)}`);
      }
    }
  });
});
