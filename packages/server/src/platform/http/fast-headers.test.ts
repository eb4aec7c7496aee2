import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFastHeaders } from './fast-headers.ts';

const plain = ['Host', 'x', 'Content-Type', 'application/json', 'Content-Length', '12'];

test('a plain JSON request is told by one pass, whatever else it carries', () => {
  assert.deepEqual(readFastHeaders([...plain, 'Accept', '*/*', 'X-Anything', 'y'], 100), {
    contentLength: 12,
    requestId: undefined,
    traceparent: undefined,
    isForwarded: false,
  });
  const more = ['AUTHORIZATION', 'Bearer x', 'x-request-id', 'r', 'TraceParent', 't', 'X-Forwarded-Proto', 'https'];
  assert.deepEqual(readFastHeaders([...plain, ...more], 100), {
    contentLength: 12,
    requestId: 'r',
    traceparent: 't',
    isForwarded: true,
  });
});

test('everything that is not plain is left to the full path', () => {
  const not: readonly (readonly string[])[] = [
    [],
    plain.slice(2),
    plain.slice(0, 4),
    ['Host', 'x', 'Content-Length', '12'],
    [...plain, 'host', 'y'],
    [...plain, 'content-type', 'application/json'],
    [...plain, 'content-length', '12'],
    [...plain, 'authorization', 'a', 'Authorization', 'b'],
    [...plain, 'X-Request-Id', 'a', 'x-request-id', 'b'],
    [...plain, 'Transfer-Encoding', 'chunked'],
    [...plain, 'Content-Encoding', 'gzip'],
    [...plain, 'Expect', '100-continue'],
    [...plain, 'Origin', 'https://app.example.org'],
    [...plain, 'Upgrade', 'h2c'],
    ['Host', 'x', 'Content-Type', 'application/json; charset=utf-8', 'Content-Length', '12'],
    ...['0', '-1', '1e3', ' 12', '12,12', '9999999999', ''].map((length) => [...plain.slice(0, 5), length]),
  ];
  for (const raw of not) assert.equal(readFastHeaders(raw, 100), undefined, raw.join());
  assert.equal(readFastHeaders([...plain, ...plain], 4), undefined);
});
