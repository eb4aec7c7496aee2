/**
 * Which files the project consists of: what Git tracks, and what is new and not ignored. The checks read this one list, so
 * none of them passes because it looked in the wrong place; an empty list is a failure.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of the workspace, with a slash at its end. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Paths relative to `root`, sorted. */
export function projectFiles(): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const files = [...new Set(listed.split('\0'))].filter((path) => path !== '' && existsSync(root + path)).toSorted();
  if (files.length === 0) throw new Error('no files were found: is this a Git checkout?');
  return files;
}

export const readProjectFile = (path: string): string => readFileSync(root + path, 'utf8');

/** Prints what was found and answers whether all is well: nothing found. */
export function report(what: string, problems: readonly string[]): boolean {
  for (const problem of problems) console.error(problem);
  if (problems.length === 0) console.log(what);
  else console.error(`${problems.length} problem${problems.length === 1 ? '' : 's'}`);
  return problems.length === 0;
}
