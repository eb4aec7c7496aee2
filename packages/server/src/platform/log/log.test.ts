import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { createSecret } from '../config/index.ts';
import { createLog, type LogOptions } from './index.ts';

function createBench(options: Partial<LogOptions> = {}) {
  const written: string[] = [];
  const destination = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  const log = createLog({ level: 'debug', format: 'json', destination, wallMs: () => 1_800_000_000_000, ...options });
  const text = (): string => {
    log.flush();
    return written.join('');
  };
  const events = () =>
    text()
      .split('\n')
      .filter((line) => line !== '')
      .map((line): Record<string, unknown> => JSON.parse(line));
  return { log, text, events, written, destination };
}

const canary = 'kanarienvogel-4711';

describe('secrets', () => {
  test('LOG-01 a field that is called like a secret is masked, at any depth and in lists and maps', () => {
    const { log, text } = createBench();
    const names = ['password', 'New-Password', 'refresh_token', 'accessToken', 'Authorization', 'cookie', 'set-cookie'];
    const more = [
      'secret',
      'client_secret',
      'code',
      'otp',
      'apiKey',
      'privateKey',
      'DATABASE_URL',
      'credentials',
      'jwt',
    ];
    for (const name of [...names, ...more]) {
      log.info({ [name]: canary }, 'flat');
      log.error({ request: { headers: [{ deep: { [name]: [canary] } }] } }, 'deep');
      log.warn({ map: new Map([[name, canary]]), set: new Set([{ [name]: canary }]) }, 'collections');
    }
    assert.ok(!text().includes(canary), text());
  });

  test('LOG-01 a Secret prints as such, wherever it stands', () => {
    const secret = createSecret(canary);
    const { log, text } = createBench();
    log.info({ value: secret, list: [secret] }, `message ${secret}`);
    const printed = [text(), String(secret), JSON.stringify({ secret }), inspect({ a: { secret } }), `${secret}`].join(
      '\n',
    );
    assert.ok(!printed.includes(canary));
    assert.match(printed, /\[secret]/);
    assert.equal(secret.reveal(), canary);
  });

  test('LOG-01 what looks like a token, a credential or a hash is masked inside of texts and messages', () => {
    const forms = [
      'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
      'rt_c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw',
      'Authorization: Bearer c2lnbmF0dXJlLXRoYXQ',
      'postgres://user:c2lnbmF0dXJl@db/x',
      'password=c2lnbmF0dXJl',
      '"token":"c2lnbmF0dXJl"',
      '$2b$12$c2lnbmF0dXJlc2lnbmF0dXJl',
      ['BEGIN', 'END'].map((word) => `-----${word} PRIVATE ${'KEY'}-----`).join('\nc2lnbmF0dXJl\n'),
    ];
    for (const form of forms) {
      const { log, text } = createBench();
      log.warn({ note: form, error: new Error(`failed with ${form}`) }, `saw ${form}`);
      assert.ok(!/c2lnbmF0dXJl|eyJzdWIi/.test(text()), text());
    }
  });

  test("LOG-01 an error's own properties, and what a parser quotes, are left out; its kind and place are kept", () => {
    const { log, events } = createBench();
    const database = Object.assign(new Error('duplicate key'), { code: '23505', detail: `Key (email)=(${canary})` });
    let syntax: unknown;
    try {
      JSON.parse(`{"password": ${canary}}`);
    } catch (error) {
      syntax = error;
    }
    log.error(
      { error: new Error('outer', { cause: database }), syntax, both: new AggregateError([database]) },
      'failed',
    );
    const [event] = events();
    assert.ok(!JSON.stringify(event).includes('kanarien'), JSON.stringify(event));
    const error = event?.['error'] as { message: string; stack: string[]; cause: { code: string } };
    assert.equal(error.message, 'outer');
    assert.equal(error.cause.code, '23505');
    assert.match(error.stack[0] ?? '', /^at /);
  });

  test('figures and flags keep their values, whatever they are called', () => {
    const { log, events } = createBench();
    log.info({ tokens_issued: 3, password_expired: false, exit_code: 0, token: null }, 'figures');
    const [event] = events();
    assert.deepEqual(
      [event?.['tokens_issued'], event?.['password_expired'], event?.['exit_code'], event?.['token']],
      [3, false, 0, null],
    );
  });

  test('bytes are told by their number alone', () => {
    const { log, events } = createBench();
    log.info({ salt: Buffer.from(canary), view: new Uint8Array(3) }, 'bytes');
    assert.equal(events()[0]?.['salt'], `[${canary.length} bytes]`);
  });
});

describe('lines', () => {
  const hostile = '\n{"level":"error","msg":"forged"}\r\n\u001b[2J\u009b31m\u2028\u2029\u202eabc\u0000\u007f';

  for (const format of ['json', 'pretty'] as const) {
    test(`INP-10 LOG-01 one event is one line, and hostile characters are escaped (${format})`, () => {
      const { log, text } = createBench({ format, colours: false });
      log.info({ [`na${hostile}me`]: hostile, nested: { list: [hostile] } }, `said ${hostile}`);
      const lines = text().split('\n');
      assert.equal(lines.length, 2);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      assert.ok(!/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/.test(lines[0] ?? ''), JSON.stringify(lines[0]));
    });
  }

  test('INP-10 an error in a pretty line cannot forge an event: each line of it begins with a bar', () => {
    const { log, text } = createBench({ format: 'pretty' });
    log.error({ error: new Error(`x${hostile}`, { cause: new Error(hostile) }) }, 'failed');
    const [first = '', ...rest] = text().trimEnd().split('\n');
    assert.match(first, /ERROR failed/);
    assert.ok(rest.length > 2);
    for (const line of rest) assert.match(line, /^ {2}│ /);
  });

  test('any values make one line that parses', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.anything({ withBigInt: true, withDate: true })),
        fc.string(),
        (fields, message) => {
          for (const format of ['json', 'pretty'] as const) {
            const { log, text } = createBench({ format });
            log.info(fields, message);
            const line = text();
            assert.equal(line.indexOf('\n'), line.length - 1);
            if (format === 'json') assert.equal(JSON.parse(line).level, 'info');
          }
        },
      ),
    );
  });

  test('a circle, a deep tree, a long list and a long text end somewhere', () => {
    const { log, text } = createBench();
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    log.info({ circle, list: Array.from({ length: 10_000 }, () => 'x'), long: 'y'.repeat(1e6) }, 'large');
    assert.ok(text().length < 5_000, String(text().length));
  });

  test('the level decides, and the name, time and message of a line are its own', () => {
    const { log, events } = createBench({ level: 'warn', fields: { node: 'a' } });
    log.debug({}, 'no');
    log.info({}, 'no');
    log.warn({ level: 'info', time: 'never', msg: 'other' }, 'yes');
    log.error({}, 'yes');
    assert.deepEqual(events()[0], { level: 'warn', time: '2027-01-15T08:00:00.000Z', node: 'a', msg: 'yes' });
    assert.equal(events().length, 2);
    const silent = createBench({ level: 'silent' });
    silent.log.error({}, 'no');
    assert.equal(silent.text(), '');
  });
});

describe('writing', () => {
  test('lines of one turn are written together, without the caller waiting', async () => {
    const { log, written } = createBench();
    for (let line = 0; line < 10; line++) log.info({ line }, 'line');
    assert.equal(written.length, 0);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(written.length, 1);
    assert.equal(written[0]?.split('\n').length, 11);
  });

  test('a destination that takes nothing costs bounded memory, and the loss is told', () => {
    const held: (() => void)[] = [];
    let received = '';
    const destination = new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        received += String(chunk);
        held.push(done);
      },
    });
    const log = createLog({ level: 'info', format: 'json', destination });
    const long = 'z'.repeat(1_900);
    for (let line = 0; line < 6_000; line++) log.info({ long }, 'line');
    log.flush();
    assert.ok(destination.writableLength < 10 * 1024 * 1024, String(destination.writableLength));
    for (let release = held.pop(); release !== undefined; release = held.pop()) release();
    log.info({}, 'after');
    log.flush();
    for (let release = held.pop(); release !== undefined; release = held.pop()) release();
    assert.match(received, /log lines were dropped/);
  });

  test('a destination that fails or was ended does not end the service', async () => {
    const { log, destination } = createBench();
    destination.destroy(new Error('the reader went away'));
    log.info({}, 'into the void');
    log.flush();
    await new Promise((resolve) => setImmediate(resolve));
  });
});
