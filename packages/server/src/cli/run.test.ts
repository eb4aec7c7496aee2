/** What the words of a command line mean, where dashes make it hard to tell. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCommand } from './run.ts';

const argsOf = (...words: readonly string[]): readonly string[] | string => {
  const parsed = parseCommand(words);
  return parsed.kind === 'command' ? parsed.parsed.args : parsed.kind;
};
const rest = 'b'.repeat(41);

describe('the words of a command', () => {
  test('the name of a key may begin with one dash or two, as one in 64 does', () => {
    for (const kid of [`-H${rest}`, `--${rest}`, `-h${rest}`, `_-${rest}`])
      assert.deepEqual(argsOf('keys', 'revoke', kid, '--json'), [kid]);
  });

  test('what is no name of a key and begins with dashes is still a flag, and an unknown one is refused', () => {
    assert.equal(argsOf('keys', 'revoke', '-h'), 'help');
    assert.equal(argsOf('keys', 'revoke', '--help'), 'help');
    assert.equal(argsOf('keys', 'revoke', 'x', '-x'), 'usage');
    assert.equal(argsOf('keys', 'revoke', 'x', '--nonsense'), 'usage');
  });

  test('a flag with its value in one word is a flag, however long the two are together', () => {
    for (const length of [29, 30, 31]) {
      const value = 'n'.repeat(length);
      const parsed = parseCommand(['users', 'create', 'a@example.org', `--first-name=${value}`]);
      assert.equal(parsed.kind === 'command' && parsed.parsed.flags['first-name'], value);
    }
  });

  test('the value of a flag may begin with a dash', () => {
    const parsed = parseCommand(['users', 'create', 'a@example.org', '--first-name', '-dash']);
    assert.equal(parsed.kind === 'command' && parsed.parsed.flags['first-name'], '-dash');
    assert.deepEqual(argsOf('users', 'create', 'a@example.org', '--password-file', '-'), ['a@example.org']);
  });
});
