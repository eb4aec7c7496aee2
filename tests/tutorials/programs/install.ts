/**
 * `npm install …` without a registry, into `./node_modules`: tarballs are unpacked, other packages are those of this repository.
 * Fails for what it does not have, or has in another major version than is asked for.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin?: string | Readonly<Record<string, string>>;
}

const installed = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const modules = join(process.cwd(), 'node_modules');

const manifestIn = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

function unpack(tarball: string): void {
  const text = execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' });
  const { name } = JSON.parse(text) as Manifest;
  const folder = join(modules, name);
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1']);
}

function link(asked: string): void {
  const [, name = '', wanted] = /^(@?[^@]+)(?:@(.+))?$/.exec(asked) ?? [];
  const source = join(installed, name);
  if (!existsSync(source)) throw new Error(`${name} is not among the packages of this repository`);
  const { version, bin = {} } = manifestIn(source);
  if (wanted !== undefined && !`${version}.`.startsWith(`${wanted}.`)) {
    throw new Error(`${name} is here in version ${version}, and not ${wanted}`);
  }
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(source, join(modules, name));
  const programs = typeof bin === 'string' ? { [name]: bin } : bin;
  for (const [program, file] of Object.entries(programs)) {
    mkdirSync(join(modules, '.bin'), { recursive: true });
    symlinkSync(join(source, file), join(modules, '.bin', program));
  }
}

for (const asked of process.argv.slice(2)) {
  if (asked.endsWith('.tgz')) unpack(asked);
  else if (!asked.startsWith('-')) link(asked);
}
