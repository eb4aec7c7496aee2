import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { issueDeviceToken, readDeviceToken } from './device-token.rule.ts';

const key = Buffer.alloc(32, 1);
const holder = { userId: '0195f3a0-0000-7000-8000-000000000001', deviceEpoch: 3 };
const issue = (): string =>
  issueDeviceToken({ key, random: { bytes: randomBytes }, now: 1_700_000_000_000, ...holder });

describe('device tokens', () => {
  test('a token names one device for its account, and each is another device', () => {
    const token = issue();
    assert.match(token, /^dt_[A-Za-z0-9_-]{72}$/);
    const device = readDeviceToken(key, token, holder);
    assert.match(device ?? '', /^[0-9a-f]{32}$/);
    assert.equal(readDeviceToken(key, token, holder), device);
    assert.notEqual(readDeviceToken(key, issue(), holder), device);
  });

  test('another account, a later device epoch and another key know it not', () => {
    const token = issue();
    assert.equal(readDeviceToken(key, token, { ...holder, userId: holder.userId.replace(/1$/, '2') }), undefined);
    assert.equal(readDeviceToken(key, token, { ...holder, deviceEpoch: 4 }), undefined);
    assert.equal(readDeviceToken(Buffer.alloc(32, 2), token, holder), undefined);
  });

  test('every changed, cut, lengthened or re-encoded token is refused', () => {
    const token = issue();
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (let at = 0; at < token.length; at++) {
      assert.equal(readDeviceToken(key, token.slice(0, at), holder), undefined);
      for (const other of alphabet) {
        if (other === token[at]) continue;
        assert.equal(readDeviceToken(key, token.slice(0, at) + other + token.slice(at + 1), holder), undefined);
      }
    }
    for (const other of [`${token}=`, `${token}A`, ` ${token}`, token.replace('dt_', ''), token.replaceAll('_', '/')]) {
      assert.equal(readDeviceToken(key, other, holder), undefined);
    }
  });

  test('garbage of any length is no token, and never an error', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => readDeviceToken(key, `dt_${text}`, holder) === undefined),
    );
    assert.equal(readDeviceToken(key, 'dt_'.padEnd(1_000_000, 'A'), holder), undefined);
    assert.equal(readDeviceToken(key, 'dt_'.padEnd(75, '\u00ff'), holder), undefined);
    assert.equal(readDeviceToken(key, '', holder), undefined);
  });
});
