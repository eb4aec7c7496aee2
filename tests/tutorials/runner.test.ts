/** Whether the runner of tutorials finds out what is not true: each mistake that a tutorial can make, made. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { runTutorial } from './support/run-tutorial.ts';
import { matches, parseTutorial } from './support/tutorial.ts';

const block = (info: string, ...lines: string[]): string => [`\`\`\`${info}`, ...lines, '```', ''].join('\n');

describe('what is executed', () => {
  test('files by their first line, commands, and transcripts with the terminal they run in', () => {
    const steps = parseTutorial(
      [
        '# A tutorial\n\n## 1. Begin\n',
        block('ts', '// app/page.ts', 'export {};'),
        block('html', '<!-- index.html -->'),
        block('css', '/* page.css */'),
        block('sh server', 'a=1', 'echo $a'),
        block('console app eventually', '$ curl -s \\', '  localhost', 'one', 'two', '^C'),
      ].join('\n'),
    );
    assert.deepEqual(
      steps.map(({ line: _, ...step }) => step),
      [
        { kind: 'heading', text: '1. Begin' },
        { kind: 'file', path: 'app/page.ts', text: '// app/page.ts\nexport {};\n' },
        { kind: 'file', path: 'index.html', text: '<!-- index.html -->\n' },
        { kind: 'file', path: 'page.css', text: '/* page.css */\n' },
        { kind: 'commands', terminal: 'server', text: 'a=1\necho $a' },
        {
          kind: 'transcript',
          terminal: 'app',
          eventually: true,
          entries: [
            { line: 24, command: 'curl -s \\\n  localhost', prints: ['one', 'two'] },
            { line: 28, command: null, prints: [] },
          ],
        },
      ],
    );
  });

  for (const [what, markdown, problem] of [
    ['a file without a name', block('ts', 'export {};'), /line 2: a file begins with a comment/],
    ['a file outside', block('ts', '// ../main.ts'), /line 2: a file lies within/],
    ['a block without a language', block('', 'a'), /line 1: a block begins with/],
    ['a block within a list', '- one\n\n  ```sh\n  a\n  ```\n', /line 3: a block begins with/],
    ['a block without an end', '```sh\na\n', /line 2: this block has no end/],
    ['a console without a command', block('console', 'one'), /line 2: a console begins with a command/],
    ['an unknown word', block('console app sometimes', '$ a'), /line 2: console takes/],
  ] as const) {
    test(`${what} is refused: nothing stays out of the run by mistake`, () => {
      assert.throws(() => parseTutorial(markdown), problem);
    });
  }
});

test('output is what is shown, line by line; only … stands for something else', () => {
  const shown = ['HTTP/1.1 200 OK', '…', 'Date: …', '', '{"for":"…"}'];
  assert.ok(matches(shown, 'HTTP/1.1 200 OK\nA: b\nDate: now\n\n{"for":"ada"}'));
  assert.ok(matches(shown, 'HTTP/1.1 200 OK\nDate: now\n\n{"for":"ada"}\n'));
  assert.ok(!matches(shown, 'HTTP/1.1 204 OK\nA: b\nDate: now\n\n{"for":"ada"}'));
  assert.ok(!matches(shown, 'HTTP/1.1 200 OK\nDate: now\n\n{"for":"ada"}\nmore'));
  assert.ok(!matches(shown, 'before\nHTTP/1.1 200 OK\nDate: now\n\n{"for":"ada"}'));
  assert.ok(!matches(shown, 'HTTP/1.1 200 OK\nDate: now\n\n{"for":"ada\n"}'));
  assert.ok(!matches(['a.c'], 'abc'));
  assert.ok(matches([], ''));
  assert.ok(!matches([], 'a\n'));
  assert.ok(matches(['…', 'ready'], 'one\nready\ntwo', { begins: true }));
  assert.ok(!matches(['ready'], 'already\n', { begins: true }));
  assert.ok(!matches(['ready'], 'ready', { begins: true }));
});

describe('a tutorial that is run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'auth-runner-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const run = (...blocks: string[]): Promise<void> =>
    runTutorial(blocks.join('\n'), {
      folder,
      project: 'project',
      env: () => ({ PATH: process.env['PATH'] }),
      adapt: (text) => text.replaceAll('4000', '4001'),
      timeoutMs: 5_000,
    });

  test('writes files, keeps variables and folders from block to block, and each terminal has its own', async () => {
    await run(
      block('sh', 'mkdir -p project && cd project', 'port=4000', 'greet() { echo "hello $1"; }'),
      block('js', '// deep/one.js', 'console.log(4000);'),
      block('console', '$ greet ada', 'hello ada', '$ cat deep/one.js', '// deep/one.js', 'console.log(4000);'),
      block('console', '$ echo $port; echo problem >&2', '4000', 'problem'),
      block('console other', '$ echo "[$port] $(basename $PWD)"', `[] ${folder.split('/').at(-1)}`),
    );
    assert.equal(readFileSync(join(folder, 'project/deep/one.js'), 'utf8'), '// deep/one.js\nconsole.log(4001);\n');
  });

  test('fails at the line that shows something else', async () => {
    await assert.rejects(
      run(block('console', '$ echo 200', '200'), block('console', '$ echo 401', '200')),
      /^Error: line 7: .*\n.*echo 401\n200\nbut .* printed\n401/,
    );
    await assert.rejects(run(block('console', '$ echo one; echo two', 'one')), /line 2/);
    await assert.rejects(run(block('console', '$ echo one', 'one', 'two')), /line 2/);
    await assert.rejects(run(block('console', '$ echo one')), /line 2/);
  });

  test('fails where a command fails, also between others, and also where its output is as shown', async () => {
    await assert.rejects(run(block('sh', 'true', 'false', 'true')), /line 2: a command ended with status 1/);
    await assert.rejects(run(block('sh', 'cd nowhere && true')), /line 2: a command ended with status 1/);
    await assert.rejects(run(block('console', '$ echo one; (exit 3)', 'one')), /ended with status 3/);
  });

  test('leaves a command of a named terminal running once it has printed what is shown, until ^C or the end', async () => {
    const serve = `$ trap 'echo bye; exit' INT; touch up; echo ready; while true; do sleep 0.05; done`
      .replace('$ ', '$ bash -c "')
      .concat('"');
    await run(
      block('console server', serve, 'ready'),
      block('sh', 'test -e up'),
      block('console server', '^C', '$ echo again', 'again'),
    );
    await assert.rejects(run(block('console server', serve, 'ready', '$ echo again', 'again')), /line 4: .*busy/);
    await assert.rejects(run(block('console server', '$ echo failed', 'ready')), /line 2/);
    await assert.rejects(run(block('console server', '^C')), /line 2: nothing runs/);
    // A second ^C would find nothing: what ran is gone with its terminal.
    await run(block('console server', '$ echo $$ > pid; echo ready; sleep 60', 'ready'));
    const pid = readFileSync(join(folder, 'pid'), 'utf8').trim();
    assert.ok(!existsSync(`/proc/${pid}/cwd`), 'the shell goes on');
  });

  test('repeats what is true eventually, and fails where it never is', async () => {
    const count = '$ echo x >> tries; wc -l < tries';
    await run(block('console eventually', count, '3'));
    await assert.rejects(run(block('console', count, '9')), /line 2/);
    await assert.rejects(
      runTutorial(block('console eventually', '$ echo one', 'two'), {
        ...{ folder, project: 'project', env: () => ({ PATH: process.env['PATH'] }), timeoutMs: 300 },
      }),
      /line 2/,
    );
  });

  test('fails where a command does not end', async () => {
    const stage = { folder, project: 'project', env: () => ({ PATH: process.env['PATH'] }), timeoutMs: 200 };
    await assert.rejects(runTutorial(block('sh', 'sleep 60'), stage), /line 2: this took longer than 200 ms/);
  });
});
