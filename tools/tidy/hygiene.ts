/**
 * What a reader should never meet: a path of somebody's machine, a note to self, a dead link, a secret, a test that was
 * switched off without a reason, a file without a head comment or one that has grown too long, and (before they are pushed)
 * commit messages that do not say what they are.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { projectFiles, readProjectFile, report, root } from './files.ts';

const linesMax = 450;
const subjectCharactersMax = 100;
const commitsMax = 200;

interface Pattern {
  readonly found: RegExp;
  readonly problem: string;
}

// Written with a gap in the middle so that this file does not find itself.
const everywhere: readonly Pattern[] = [
  { found: /(^|[\s'"`(=])\/(home|Users|root|work|mnt)\/[\w.-]/, problem: 'a path of one machine' },
  { found: /\.\.\/shared\//, problem: 'a path outside the project' },
  { found: /^(<{7}|>{7}) /, problem: 'a merge conflict' },
  { found: /\r$/, problem: 'a carriage return' },
  { found: /[^\S\n]$/, problem: 'white space at the end of the line' },
  { found: /\b(TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b/, problem: 'a note to self: do it, or open an issue' },
  { found: /-----BEGIN (\w+ )?PRIVATE KE[Y]-----/, problem: 'SUP-05: a private key' },
  {
    found: /\b(AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abpr]-[\w-]{20,}|npm_[A-Za-z0-9]{36})\b/,
    problem: 'SUP-05: a secret',
  },
];

const inTests: readonly Pattern[] = [
  { found: /\b(test|describe|it|suite)\.only\(|\bonly: true\b/, problem: 'other tests would not run' },
  {
    found: /\b(test|describe|it|suite)\.(skip|todo)\(|\bskip: true\b|\btodo: true\b/,
    problem: 'a skip gives its reason: { skip: why }',
  },
];

const isText = (path: string): boolean =>
  /\.(ts|js|json|md|sql|txt|yml|yaml|html|css|sh|example)$/.test(path) ||
  /(^|\/)(\.ci\/run|\.gitignore|\.npmrc|LICENSE|Dockerfile)$/.test(path);
const isTest = (path: string): boolean => /\.(test|contract)\.ts$/.test(path) || path.startsWith('tests/');
const isCode = (path: string): boolean => /^(packages|tools)\/.*\.ts$/.test(path) && !isTest(path);
/** Lists, not prose or code: one entry a line, some of them odd. */
const isData = (path: string): boolean => /\.data\.(ts|txt)$|(^|\/)package-lock\.json$|\.golden\.\w+$/.test(path);

export function textProblems(path: string, source: string): readonly string[] {
  if (isData(path)) return [];
  const patterns = isTest(path) ? [...everywhere, ...inTests] : everywhere;
  const lines = source.split('\n');
  const problems = lines.flatMap((line, index) =>
    patterns.filter(({ found }) => found.test(line)).map(({ problem }) => `${path}:${index + 1}: ${problem}`),
  );
  if (source !== '' && !source.endsWith('\n')) problems.push(`${path}: no new line at the end`);
  if (isCode(path)) {
    if (!/^(#!.*\n)?(\/\*\*|\/\/)/.test(source))
      problems.push(`${path}:1: no head comment that says what this file is for`);
    if (lines.length > linesMax) problems.push(`${path}: ${lines.length} lines; at most ${linesMax}`);
  }
  return problems;
}

/** Links of a document to files of the project that are not there. Web addresses are not asked. */
export function linkProblems(path: string, source: string, exists: (target: string) => boolean): readonly string[] {
  const prose = source.replace(/^```[\s\S]*?^```/gm, (block) => block.replace(/[^\n]/g, ''));
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(({ 1: link = '', index }) => {
    const target = link.split('#')[0] ?? '';
    if (target === '' || /^[a-z][a-z0-9+.-]*:/i.test(target)) return [];
    const file = posix.normalize(posix.join(posix.dirname(path), target));
    return exists(file) ? [] : [`${path}:${prose.slice(0, index).split('\n').length}: nothing is at ${link}`];
  });
}

const kinds = 'build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test';
const conventional = new RegExp(String.raw`^(${kinds})(\([a-z0-9-]+\))?!?: \S`);

export function commitProblems(hash: string, message: string): readonly string[] {
  const [subject = '', second] = message.trimEnd().split('\n');
  const at = `commit ${hash.slice(0, 10)}: `;
  return [
    ...(conventional.test(subject) ? [] : [`${at}the subject is not "kind(room): what": ${subject}`]),
    ...(subject.length > subjectCharactersMax
      ? [`${at}the subject is longer than ${subjectCharactersMax} characters`]
      : []),
    ...(second === undefined || second === '' ? [] : [`${at}no empty line after the subject`]),
    ...textProblems('message', `${message.trimEnd()}\n`).map((problem) => at + problem),
  ];
}

const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

/** What no remote has can still be reworded; what is pushed stays as it is. */
function unpushedCommits(): readonly (readonly [hash: string, message: string])[] {
  return git('log', '--no-merges', '-z', `--max-count=${commitsMax}`, '--format=%H%n%B', 'HEAD', '--not', '--remotes')
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => [entry.slice(0, 40), entry.slice(41)] as const);
}

if (import.meta.main) {
  const files = projectFiles().filter(isText);
  const known = new Set(projectFiles());
  const exists = (target: string): boolean => known.has(target) || existsSync(root + target);
  const commits = unpushedCommits();
  const problems = [
    ...files.flatMap((path) => {
      const source = readProjectFile(path);
      return [...textProblems(path, source), ...(path.endsWith('.md') ? linkProblems(path, source, exists) : [])];
    }),
    ...commits.flatMap(([hash, message]) => commitProblems(hash, message)),
  ];
  process.exitCode = report(`${files.length} files and ${commits.length} commits are tidy`, problems) ? 0 : 1;
}
