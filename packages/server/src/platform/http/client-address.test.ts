import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createClientAddress, isCidr, isPrivateOrLoopback } from './client-address.ts';

const untrusting = createClientAddress(false);
const behindProxies = createClientAddress(['10.0.0.0/8', '2001:db8:ffff::/48', '::ffff:172.16.0.0/108']);

describe('createClientAddress', () => {
  test('RAT-03 without trust the peer is the client, whatever the header says', () => {
    for (const header of [['1.1.1.1'], ['1.1.1.1, 2.2.2.2', '127.0.0.1'], ['junk'], [''], []]) {
      assert.equal(untrusting('203.0.113.9', header).address, '203.0.113.9');
      assert.equal(behindProxies('203.0.113.9', header).address, '203.0.113.9');
    }
  });

  test('RAT-03 behind trusted proxies the right-most untrusted entry is the client, over all header lines', () => {
    assert.equal(behindProxies('10.0.0.1', ['6.6.6.6, 198.51.100.7']).address, '198.51.100.7');
    assert.equal(behindProxies('10.0.0.1', ['6.6.6.6', '198.51.100.7, 10.2.3.4']).address, '198.51.100.7');
    assert.equal(behindProxies('::ffff:10.0.0.1', ['198.51.100.7,2001:db8:ffff::1']).address, '198.51.100.7');
    assert.equal(behindProxies('172.16.0.1', ['198.51.100.7:4711']).address, '198.51.100.7');
    assert.equal(behindProxies('10.0.0.1', ['[2001:db8::1]:443']).address, '2001:db8::1');
    assert.equal(behindProxies('10.0.0.1', ['10.0.0.2, 10.0.0.3']).address, '10.0.0.2');
    assert.equal(behindProxies('10.0.0.1', undefined).address, '10.0.0.1');
  });

  test('RAT-03 garbage ends the walk at the last trusted proxy', () => {
    for (const junk of ['unknown', '_hidden', '1.2.3', '0x7f.0.0.1', '01.2.3.4', '1.2.3.4:99999999', '[1.2.3.4]', '']) {
      assert.equal(behindProxies('10.0.0.1', [`9.9.9.9, ${junk}`]).address, '10.0.0.1', junk);
      assert.equal(behindProxies('10.0.0.1', [`9.9.9.9, ${junk}, 10.0.0.7`]).address, '10.0.0.7', junk);
    }
    assert.equal(behindProxies('10.0.0.1', ['1'.repeat(100_000)]).address, '10.0.0.1');
  });

  test('RAT-03 a hop count takes so many entries from the right', () => {
    const header = ['1.1.1.1, 2.2.2.2', '3.3.3.3'];
    const expected = ['9.9.9.9', '3.3.3.3', '2.2.2.2', '1.1.1.1', '1.1.1.1'];
    for (const [hops, address] of expected.entries()) {
      assert.equal(createClientAddress(hops)('9.9.9.9', header).address, address);
    }
  });

  test('RAT-04 IPv4-mapped addresses are IPv4; spellings, ports and zones make no difference', () => {
    for (const same of ['1.2.3.4', '::ffff:1.2.3.4', '::FFFF:102:304', '0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4:80']) {
      assert.deepEqual(untrusting(same, undefined), { address: '1.2.3.4', bucket: '1.2.3.4' }, same);
    }
    for (const same of [
      '2001:DB8::1',
      '2001:0db8:0:0:0:0:0:1',
      '2001:db8::0.0.0.1',
      '[2001:db8::1]',
      '2001:db8::1%eth0',
    ]) {
      assert.deepEqual(untrusting(same, undefined), { address: '2001:db8::1', bucket: '2001:db8::/64' }, same);
    }
  });

  test('RAT-04 a thousand addresses of one /64 are one bucket, and its neighbour is another', () => {
    const buckets = new Set(
      Array.from({ length: 1000 }, (_, n) => untrusting(`2001:db8:1:2:${n.toString(16)}::${n + 1}`, undefined).bucket),
    );
    assert.deepEqual([...buckets], ['2001:db8:1:2::/64']);
    assert.equal(untrusting('2001:db8:1:3::1', undefined).bucket, '2001:db8:1:3::/64');
  });

  test('RAT-03 what an untrusted client writes to the left never changes the answer', () => {
    const junk = fc.array(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom('10.0.0.9', '', ',,', '::1')));
    const trusted = fc.array(fc.constantFrom('10.9.8.7', '2001:db8:ffff::7', '::ffff:10.0.0.3'), { maxLength: 5 });
    const client = fc.oneof(
      fc.ipV4().filter((address) => !address.startsWith('10.') && !/^172\.(1[6-9]|2\d|3[01])\./.test(address)),
      fc.constantFrom('2001:db8::5', 'fe80::1%en0'),
    );
    fc.assert(
      fc.property(junk, client, trusted, (left, address, right) => {
        const alone = untrusting(address, undefined);
        const header = [...left, [address, ...right].join(', ')];
        assert.deepEqual(behindProxies('10.0.0.1', header), alone);
        assert.deepEqual(createClientAddress(right.length + 1)('8.8.8.8', header), alone);
      }),
      { numRuns: 2000 },
    );
  });

  test('never throws on a request, and always answers a canonical address', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string()), (peer, header) => {
        for (const read of [untrusting, behindProxies, createClientAddress(3)]) {
          const { address } = read(peer, header);
          assert.equal(untrusting(address, undefined).address, address);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a wrong CIDR or hop count stops at the start', () => {
    for (const wrong of [
      '10.0.0.0/33',
      '10.0/8',
      'localhost',
      '::/129',
      '10.0.0.0/8/8',
      'fe80::%1/64',
      '::ffff:0:0/95',
      '1.2.3.4/-1',
      '',
    ]) {
      assert.ok(!isCidr(wrong), wrong);
      assert.throws(() => createClientAddress([wrong]), RangeError);
    }
    for (const wrong of [-1, 1.5, 33, Number.NaN]) assert.throws(() => createClientAddress(wrong), RangeError);
    for (const right of ['10.0.0.1', '::1', 'fd00::/8', '0.0.0.0/0', '::ffff:10.0.0.0/104'])
      assert.ok(isCidr(right), right);
  });
});

test('private and loopback addresses are told from public ones in every spelling', () => {
  for (const near of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '::ffff:127.0.0.1',
    '10.1.1.1',
    '192.168.0.1',
    'fd12::1',
    'fe80::1%eth0',
    '169.254.1.1',
  ]) {
    assert.ok(isPrivateOrLoopback(near), near);
  }
  for (const far of ['8.8.8.8', '::ffff:8.8.8.8', '2001:4860::1', '0.0.0.0', '::', '100.64.0.1', 'localhost', '']) {
    assert.ok(!isPrivateOrLoopback(far), far);
  }
});
