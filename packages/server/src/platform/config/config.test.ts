import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { editDistance } from './environment.ts';
import {
  boolean,
  type Environment,
  effectiveSettings,
  exampleFile,
  findWeakness,
  inGroup,
  integer,
  isCidr,
  list,
  oneOf,
  problemLine,
  rate,
  readSettings,
  secret,
  secretUrl,
  settingsPage,
  text,
  url,
  withDotenv,
} from './index.ts';

const table = inGroup('Group', {
  NUMBER: integer({ default: 5, min: 1, max: 10, about: 'A number.' }),
  MAYBE_NUMBER: integer({ default: undefined, min: 1, max: 10, about: 'A number or none.' }),
  FLAG: boolean({ default: false, about: 'A flag.' }),
  CHOICE: oneOf({ default: 'left', of: ['left', 'right'], about: 'A choice | two.' }),
  FUTURE: oneOf({ default: 'now', of: ['now', 'later'], unavailable: true, about: 'Not yet.' }),
  NAME_OF_IT: text({ default: undefined, pattern: [/^[a-z]+$/, 'set lower-case letters'], about: 'A name.' }),
  ADDRESS: url({ default: undefined, protocols: ['http', 'https'], about: 'An address.' }),
  ENTRIES: list({
    values: 'letters',
    check: (entry) => (entry === 'bad' ? ['is bad', 'leave it out'] : undefined),
    about: 'Entries.',
  }),
  RATE: rate({ default: { limit: 1, windowSeconds: 2 }, about: 'A rate.' }),
  STRONG_SECRET: secret({ bytesMin: 32, about: 'A strong one.' }),
  WEAK_SECRET: secret({ about: 'Any but a placeholder.' }),
  STORE_URL: secretUrl({ protocols: ['postgres'], about: 'With credentials.' }),
  DB_PORT: integer({ default: 1, min: 1, max: 65_535, about: 'A port.' }),
});

const fileSecret = randomBytes(48).toString('base64');
const files: Readonly<Record<string, string>> = { '/run/secret': `${fileSecret}\r\n` };
const missing = (): never => {
  throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
};
const read = (environment: Environment) =>
  readSettings(table, environment, { readFile: (path) => files[path] ?? missing(), prefixes: ['STORE_', 'DB_'] });
const values = (environment: Environment) => {
  const result = read(environment);
  assert.ok(result.ok, JSON.stringify(result));
  return result.values;
};
const problems = (environment: Environment): readonly string[] => {
  const result = read(environment);
  assert.ok(!result.ok, 'it was accepted');
  return result.problems.map(problemLine);
};
const goodSecret = randomBytes(48).toString('base64');

describe('reading', () => {
  test('defaults hold where nothing is set, and an empty or blank variable is not set', () => {
    const given = values({ NUMBER: '', FLAG: '  ', WEAK_SECRET: '', ENTRIES: ' , ,' });
    assert.deepEqual(
      [given.NUMBER, given.MAYBE_NUMBER, given.FLAG, given.CHOICE, given.WEAK_SECRET, given.ENTRIES, given.RATE],
      [5, undefined, false, 'left', undefined, [], { limit: 1, windowSeconds: 2 }],
    );
  });

  test('each kind reads what it should', () => {
    const given = values({
      NUMBER: ' 7 ',
      FLAG: 'Yes',
      CHOICE: 'right',
      NAME_OF_IT: 'abc',
      ADDRESS: 'https://example.com/base/',
      ENTRIES: 'a, b,,c ',
      RATE: '20/60',
      STORE_URL: 'postgres://user:word@host:5/x',
      STRONG_SECRET: goodSecret,
    });
    assert.equal(given.NUMBER, 7);
    assert.equal(given.FLAG, true);
    assert.equal(given.ADDRESS, 'https://example.com/base');
    assert.deepEqual(given.ENTRIES, ['a', 'b', 'c']);
    assert.deepEqual(given.RATE, { limit: 20, windowSeconds: 60 });
    assert.equal(given.STRONG_SECRET?.reveal(), goodSecret);
    assert.equal(given.STORE_URL?.reveal(), 'postgres://user:word@host:5/x');
  });

  test('each kind refuses what it should, in one line that names the variable and the mend', () => {
    const wrong: Readonly<Record<string, readonly string[]>> = {
      NUMBER: ['0', '11', '1.5', '1e1', '0x1', 'NaN', '-3', '99999999999999999999', 'five', '5 6', '5\n6', '٥'],
      FLAG: ['2', 'maybe', 'tru', '__proto__', 'constructor'],
      CHOICE: ['LEFT', 'up', 'left,right'],
      NAME_OF_IT: ['A', 'a b', 'x'.repeat(5_000), 'a\u0000', 'a\nb'],
      ADDRESS: [
        'example.com',
        'ftp://x',
        'http://',
        'javascript:1',
        'http://u:p@x',
        'http://x?y',
        'http://x#y',
        'https:x',
      ],
      ENTRIES: ['a,bad', Array.from({ length: 101 }, () => 'x').join(','), 'a\u2028b'],
      RATE: ['20', '20/', '/60', '0/60', '20/0', '20/60/1', '-1/60', '20/86401', '1.5/2', '20 / 60'],
      STORE_URL: ['mysql://x/y', 'postgres:x', 'x', 'postgres://h/x\n'],
    };
    for (const [variable, texts] of Object.entries(wrong)) {
      for (const given of texts) {
        const lines = problems({ [variable]: given });
        assert.equal(lines.length, 1, `${variable}=${given}`);
        assert.match(lines[0] ?? '', new RegExp(`^${variable} .+; .+`), given);
        assert.ok(!/[\n\r\u2028]/.test(lines[0] ?? ''), given);
      }
    }
  });

  test('all problems are told at once', () => {
    assert.equal(problems({ NUMBER: 'x', FLAG: 'x', CHOICE: 'x', STRONG_SECRET: 'x' }).length, 4);
  });

  test('what this version lacks stops the start, its default does not', () => {
    assert.equal(values({ FUTURE: 'now' }).FUTURE, 'now');
    assert.deepEqual(problems({ FUTURE: 'later' }), ['FUTURE=later is not available in this version yet; unset it']);
  });

  test('no environment makes reading throw', () => {
    const names = fc.oneof(fc.constantFrom(...Object.keys(table)), fc.string());
    fc.assert(
      fc.property(fc.dictionary(names, fc.string()), (environment) => {
        const result = read(environment);
        if (!result.ok) for (const line of result.problems.map(problemLine)) assert.ok(line.length > 0);
      }),
    );
  });
});

describe('secrets', () => {
  test('CFG-04 a secret is read from the file that X_FILE names, without the line break at its end', () => {
    const result = read({ STRONG_SECRET_FILE: '/run/secret' });
    assert.ok(result.ok, JSON.stringify(result));
    assert.equal(result.values.STRONG_SECRET?.reveal(), fileSecret);
    assert.equal(result.sources.STRONG_SECRET, 'file');
  });

  test('CFG-04 a file that cannot be read, and a secret given twice, are problems', () => {
    assert.deepEqual(problems({ STRONG_SECRET_FILE: '/nowhere' }), [
      'STRONG_SECRET_FILE names a file that cannot be read (ENOENT); make it readable or unset it',
    ]);
    assert.match(
      problems({ STRONG_SECRET: goodSecret, STRONG_SECRET_FILE: '/run/secret' })[0] ?? '',
      /set one of them/,
    );
  });

  test('CFG-01 weak secrets are refused, and the line does not quote them', () => {
    const weak = [
      '',
      ' ',
      'short',
      'x'.repeat(64),
      'ab'.repeat(32),
      'abcdefgh'.repeat(8),
      'abcdefghijklmnopqrstuvwxyz0123456789',
      '01234567890123456789012345678901',
      `${'a'.repeat(40)}bcdefgh`,
      'your-super-secret-jwt-key',
      'your-super-secret-jwt-key-change-this-in-production',
      'YOUR_SUPER_SECRET_JWT_KEY_0123456789abcdef',
      'your-cluster-secret-your-cluster-secret-1',
      'changeme-changeme-changeme-changeme-12345',
      'this is a placeholder, 92jf02jf0293jf0923jf',
    ];
    for (const given of weak) {
      const [line = ''] = problems({ STRONG_SECRET: given });
      assert.match(line, /^STRONG_SECRET is .*openssl rand/, given);
      if (given.trim().length > 4) assert.ok(!line.includes(given), line);
    }
  });

  test('CFG-01 secrets that were drawn at random are taken, in every usual spelling', () => {
    for (let round = 0; round < 500; round++) {
      const bytes = randomBytes(32);
      for (const given of [
        bytes.toString('hex'),
        bytes.toString('base64'),
        bytes.toString('base64url'),
        randomBytes(16).toString('hex'),
      ]) {
        assert.equal(findWeakness(given, 32), undefined, given);
      }
      assert.equal(findWeakness(randomBytes(12).toString('base64url'), 16), undefined);
    }
  });

  test('CFG-01 placeholders are refused where any other text goes', () => {
    for (const given of ['changeme', 'Secret', 'password', 'yourpassword', 'postgres', 'REPLACE_ME']) {
      assert.match(problems({ WEAK_SECRET: given })[0] ?? '', /placeholder/, given);
    }
    assert.equal(values({ WEAK_SECRET: 'a real one' }).WEAK_SECRET?.reveal(), 'a real one');
  });

  test('CFG-04 nothing that is shown holds a secret', () => {
    const canary = randomBytes(24).toString('hex');
    const result = read({ STRONG_SECRET: canary, WEAK_SECRET: canary, STORE_URL: `postgres://user:${canary}@host/x` });
    assert.ok(result.ok);
    const shown = JSON.stringify([effectiveSettings(table, result.values, result.sources), result]);
    assert.ok(!shown.includes(canary), shown);
    assert.match(shown, /postgres:\/\/host\/x/);
    const failed = problems({ STORE_URL: `mysql://user:${canary}@host/x`, ADDRESS: `http://u:${canary}@x` });
    assert.ok(!failed.join().includes(canary), failed.join());
  });
});

describe('names', () => {
  test('CFG-02 a name that is a slip of ours is a problem that names ours', () => {
    for (const slip of ['STRONG_SECERT', 'STRONG_SECRETS', 'STRONG_SECRET_FIEL', 'NUMBERS', 'MAYBE_NUBMERS']) {
      assert.match(
        problems({ [slip]: '1' })[0] ?? '',
        new RegExp(`^${slip} is not a variable.*did you mean [A-Z_]+\\?$`),
      );
    }
  });

  test('CFG-02 an unknown name that begins like ours is a warning, another one is nothing', () => {
    const result = read({
      STORE_COLOUR: 'x',
      PATH: '/bin',
      FLAP: 'x',
      RATES_OF_CHANGE: 'x',
      number: '1',
      HOME: '/root',
    });
    assert.ok(result.ok, JSON.stringify(result));
    assert.deepEqual(
      result.warnings.map(({ variable }) => variable),
      ['STORE_COLOUR'],
    );
  });

  test('what Kubernetes injects is ignored, under our own names too', () => {
    const result = read({
      DB_PORT: 'tcp://10.0.0.1:5432',
      DB_SERVICE_HOST: '10.0.0.1',
      DB_SERVICE_PORT: '5432',
      DB_SERVICE_PORT_POSTGRES: '5432',
      DB_PORT_5432_TCP: 'tcp://10.0.0.1:5432',
      DB_PORT_5432_TCP_PROTO: 'tcp',
      DB_PORT_5432_TCP_ADDR: '10.0.0.1',
      STORE_PORT: 'udp://[fd00::1]:53',
    });
    assert.ok(result.ok, JSON.stringify(result));
    assert.equal(result.values.DB_PORT, 1);
    assert.deepEqual(result.warnings, []);
    assert.match(problems({ NUMBER: 'tcp://10.0.0.1:5432' })[0] ?? '', /NUMBER/);
  });

  test('a swap of neighbours is one step, as any other slip', () => {
    assert.deepEqual(
      [
        editDistance('SECRET', 'SECERT'),
        editDistance('A', ''),
        editDistance('ABC', 'ABC'),
        editDistance('KITTEN', 'SITTING'),
      ],
      [1, 1, 0, 3],
    );
  });
});

describe('a .env file', () => {
  test('lies beneath the real environment', () => {
    const content = 'NUMBER=3\nCHOICE="right" # a comment\n# FLAG=true\nNAME_OF_IT=\'abc\'\n';
    const { environment, problems: found } = withDotenv({ NUMBER: '4', UNSET: undefined }, '.env', () => content);
    assert.deepEqual(found, []);
    assert.deepEqual({ ...environment }, { NUMBER: '4', CHOICE: 'right', NAME_OF_IT: 'abc' });
  });

  test('need not be there, and is a problem when it cannot be read', () => {
    assert.deepEqual(withDotenv({ A: '1' }, '.env', missing), { environment: { A: '1' }, problems: [] });
    const denied = withDotenv({}, '.env', () => {
      throw Object.assign(new Error('denied'), { code: 'EACCES' });
    });
    assert.deepEqual(denied.problems.map(problemLine), ['.env cannot be read (EACCES); make it readable or remove it']);
  });
});

describe('documents', () => {
  test('the page has a row for each variable, and a bar in a text does not end its cell', () => {
    const page = settingsPage(table);
    for (const name of Object.keys(table)) assert.ok(page.includes(`| \`${name}\``), name);
    for (const line of page.split('\n').filter((row) => row.startsWith('| '))) {
      assert.equal(line.replaceAll('\\|', '').split('|').length, 6, line);
    }
  });

  test('CFG-01 the example file sets nothing: read as it stands it is an empty environment', () => {
    const { environment } = withDotenv({}, '.env', () => exampleFile(table));
    assert.deepEqual({ ...environment }, {});
    assert.ok(exampleFile(table).includes('\n# NUMBER=5\n'));
  });
});

test('an address with or without a prefix is a CIDR, what only looks like one is not', () => {
  for (const good of ['10.0.0.0/8', '10.0.0.1', '::1', 'fd00::/8', '0.0.0.0/0', '::/128'])
    assert.ok(isCidr(good), good);
  for (const wrong of [
    '',
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'localhost',
    '1.2.3.4/-1',
  ]) {
    assert.ok(!isCidr(wrong), wrong);
  }
});
