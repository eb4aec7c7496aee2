/** The browser of the tests: it says clearly that it is missing, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { findChromium, startChromium } from '../support/chromium.ts';
import { startProgram } from '../support/processes.ts';
import { until } from '../support/service.ts';

/** Processes whose command line names this profile. */
const processesOf = (profile: string): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(profile);
      } catch {
        return false; // It has ended meanwhile.
      }
    });

test('where there is no Chromium, a test that needs one fails and says what to install', (t) => {
  const before = process.env['CHROMIUM'];
  t.after(() => {
    if (before === undefined) delete process.env['CHROMIUM'];
    else process.env['CHROMIUM'] = before;
  });
  process.env['CHROMIUM'] = '/nonexistent/chromium';
  assert.throws(findChromium, /no Chromium at \/nonexistent\/chromium.*apt-get install .*chromium/);
});

test('a stopped browser leaves neither processes nor its profile', async () => {
  const browser = await startChromium();
  assert.match(browser.version, /Chrom/);
  assert.ok(processesOf(browser.profile).length > 1);
  const page = await browser.newPage();
  await page.open('data:text/html,<title>A page</title><p>to read</p>');
  assert.equal(await page.text(), 'to read');
  await browser.stop();
  assert.deepEqual(processesOf(browser.profile), []);
  assert.equal(existsSync(browser.profile), false);
});

test('a browser whose test was killed ends by itself', async () => {
  const program = startProgram(new URL('./programs/browse.ts', import.meta.url), []);
  const profile = await program.line((line) => line.startsWith('/'));
  assert.ok(processesOf(profile).length > 1);
  await program.kill('SIGKILL');
  await until('the browser to end', () => Promise.resolve(processesOf(profile).length === 0));
  rmSync(profile, { recursive: true, force: true });
});
