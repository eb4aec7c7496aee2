/** docs/tutorials/next.md, done as it says, with Next.js from its own lockfile, and in a browser what a reader does in one. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Browser, type Page, startChromium } from '../support/chromium.ts';
import { runTutorial } from './support/run-tutorial.ts';
import { makeStage, type TutorialStage } from './support/stage.ts';
import { readTutorial } from './support/test-tutorial.ts';

let browser: Browser;
let stage: TutorialStage;

before(async () => {
  stage = await makeStage({ project: 'shop', ports: [4000, 3000], locked: 'next' });
  browser = await startChromium();
});
after(async () => {
  await browser?.stop();
  stage?.remove();
});

test('what the tutorial next.md says and shows is true', async () => {
  let tried = 0;
  const atHeading = async (heading: string): Promise<void> => {
    if (!heading.includes('Cut the service off')) return;
    await signIn(await browser.newPage());
    tried += 1;
  };
  await runTutorial(readTutorial('next.md'), { ...stage, atHeading, timeoutMs: 120_000 });
  assert.equal(tried, 1);
});

/** What step 6 says of a browser. */
async function signIn(page: Page): Promise<void> {
  await page.open(`http://localhost:${stage.port(3000)}/account`);
  // What the server rendered becomes a form that signs in only when the page's script has run.
  const ready = `Object.keys(document.querySelector('form') ?? {}).some((key) => key.startsWith('__reactProps'))`;
  await page.until(ready, 60_000);
  await page.type('input[name=email]', 'ada@example.org');
  await page.type('input[name=password]', 'an even better horse');
  await page.click('button');
  await page.until(`document.querySelector('h1')?.innerText.startsWith('Hello ')`, 60_000);
  assert.equal(await page.run('location.pathname + document.cookie'), '/account');
  await page.close();
}
