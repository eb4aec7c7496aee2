/**
 * `node tools/generate-common-passwords.ts` writes the bundled list of common passwords from the one that
 * `@zxcvbn-ts/language-common` (MIT) carries: entries of eight characters or more, without case, as sorted fingerprints.
 * Shorter ones are refused by their length already. `--check` compares and writes nothing.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fingerprintBytes, fingerprintOf } from '../packages/server/src/passwords/common-passwords.ts';

const lengthMin = 8;
const entriesMin = 10_000;
const source = createRequire(import.meta.url).resolve('@zxcvbn-ts/language-common/src/passwords.json');
const target = new URL('../packages/server/src/passwords/common-passwords.bin', import.meta.url);

const listed: unknown = JSON.parse(readFileSync(source, 'utf8'));
if (!Array.isArray(listed)) throw new TypeError(`${source} is no list`);
const entries = new Set<string>();
for (const entry of listed) {
  const password = String(entry).normalize('NFC').toLowerCase();
  if (Array.from(password).length >= lengthMin) entries.add(password);
}
if (entries.size < entriesMin) throw new Error(`only ${entries.size} passwords are left of ${source}`);

const content = Buffer.concat(Array.from(entries, fingerprintOf).toSorted((a, b) => a.compare(b)));
if (process.argv.includes('--check')) {
  const same = existsSync(target) && readFileSync(target).equals(content);
  if (!same)
    console.error('common-passwords.bin is not what its source says: run node tools/generate-common-passwords.ts');
  process.exitCode = same ? 0 : 1;
} else {
  writeFileSync(target, content);
  console.log(`wrote ${content.length / fingerprintBytes} common passwords`);
}
