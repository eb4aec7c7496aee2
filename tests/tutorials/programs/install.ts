/**
 * `npm install …` without a registry, into `./node_modules`: tarballs are unpacked, other packages are those of this repository, or
 * those in `LOCKED_MODULES`, which then become this project's, all of them.
 * Fails for what it does not have, or has in another major version than is asked for.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin?: string | Readonly<Record<string, string>>;
}

const installed = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const locked = process.env['LOCKED_MODULES'];
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
  const own = locked !== undefined && existsSync(join(locked, name));
  const source = join(own ? locked : installed, name);
  if (!existsSync(source)) throw new Error(`${name} is not among the packages of this repository`);
  const { version, bin = {} } = manifestIn(source);
  if (wanted !== undefined && !`${version}.`.startsWith(`${wanted}.`)) {
    throw new Error(`${name} is here in version ${version}, and not ${wanted}`);
  }
  if (own) return;
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(source, join(modules, name));
  const programs = typeof bin === 'string' ? { [name]: bin } : bin;
  for (const [program, file] of Object.entries(programs)) {
    mkdirSync(join(modules, '.bin'), { recursive: true });
    symlinkSync(join(source, file), join(modules, '.bin', program));
  }
}

/** Linked file by file, as bundlers look for nothing outside of their project; copied where that is another file system. */
function copyLocked(from: string): void {
  const link = spawnSync('cp', ['-al', from, modules]);
  if (link.status === 0) return;
  rmSync(modules, { recursive: true, force: true });
  execFileSync('cp', ['-a', from, modules]);
}

if (locked !== undefined && !existsSync(modules)) copyLocked(locked);
for (const asked of process.argv.slice(2)) {
  if (asked.endsWith('.tgz')) unpack(asked);
  else if (!asked.startsWith('-')) link(asked);
}
