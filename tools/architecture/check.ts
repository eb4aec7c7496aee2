/**
 * The architecture check: reads every source file of the packages and holds the imports against `rules.ts`. It passes only
 * when it has seen files in every room that exists on the disk: a check that looked at nothing is a failure.
 */
import { readdirSync } from 'node:fs';
import { projectFiles, readProjectFile, report, root } from '../tidy/files.ts';
import { inspect } from './rules.ts';

const sources = projectFiles().filter((path) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path));
const findings = inspect(new Map(sources.map((path) => [path, readProjectFile(path)])));

const folders = readdirSync(`${root}packages/server/src`, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => entry.parentPath.slice(`${root}packages/server/src/`.length).split('/'))
  .map((parts) => parts.slice(0, parts[0] === 'platform' ? 2 : 1).join('/'));
const unseen = [...new Set(folders)].filter((room) => room !== '' && (findings.rooms.get(room) ?? 0) === 0);

const problems = [
  ...findings.problems,
  ...unseen.map((room) => `packages/server/src/${room}: no file of this room was seen`),
  ...(findings.files < 10 || findings.imports === 0 ? ['too few files were seen for this check to mean anything'] : []),
];
const ok = report(
  `${findings.files} files, ${findings.imports} imports, ${findings.rooms.size} rooms: every import goes the one way`,
  problems,
);
process.exitCode = ok ? 0 : 1;
