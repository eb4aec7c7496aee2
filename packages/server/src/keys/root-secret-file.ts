/**
 * The root secret of the embedded store, where none was configured: made once, kept beside the store it protects (mode 0600).
 * Written whole under another name and then linked into place, so that a crash leaves the whole file or none.
 */
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../platform/random/index.ts';

const fileName = 'root-secret';
const secretBytes = 48;

/** Reads it; makes it when it is missing. The folder must exist and be ours. */
export function findOrMakeRootSecret(dataDir: string, random: Random): string {
  const path = join(dataDir, fileName);
  const existing = read(path);
  if (existing !== undefined) return existing;
  const temporary = join(dataDir, `${fileName}.${random.bytes(6).toString('hex')}`);
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, `${random.bytes(secretBytes).toString('base64')}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    unlinkSync(temporary);
  }
  syncFolder(dataDir);
  const made = read(path);
  if (made === undefined) throw new Error(`${path} was made and cannot be read`);
  return made;
}

function read(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    if (text.length < secretBytes) throw new Error(`${path} is damaged: restore it from a backup, or set JWT_SECRET`);
    return text;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
