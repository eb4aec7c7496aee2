/** docs/tutorials/react.md, done as it says, in a browser that has a virtual authenticator. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Browser, type Page, startChromium } from '../support/chromium.ts';
import { runTutorial } from './support/run-tutorial.ts';
import { makeStage, type TutorialStage } from './support/stage.ts';
import { readTutorial } from './support/test-tutorial.ts';

const email = 'ada@example.org';
let browser: Browser;
let stage: TutorialStage;

before(async () => {
  [browser, stage] = await Promise.all([startChromium(), makeStage({ project: 'page', ports: [4000, 3000] })]);
});
after(async () => {
  await browser?.stop();
  stage?.remove();
});

test('BRW-03 what the tutorial react.md says and shows is true: a passkey signs in on a page that never sees a token', async () => {
  let tried = 0;
  const atHeading = async (heading: string): Promise<void> => {
    if (heading !== 'For production') return;
    await tryIt(await browser.newPage());
    tried += 1;
  };
  await runTutorial(readTutorial('react.md'), { ...stage, atHeading });
  assert.equal(tried, 1);
});

/** The six steps of "Try it". */
async function tryIt(page: Page): Promise<void> {
  await page.send('WebAuthn.enable');
  await page.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      ...{ protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true },
      ...{ isUserVerified: true, automaticPresenceSimulation: true },
    },
  });
  const url = `http://localhost:${stage.port(3000)}/`;
  const shows = (text: string): Promise<void> =>
    page.until(`document.body.innerText.includes(${JSON.stringify(text)})`);
  const withPassword = async (button: string): Promise<void> => {
    await page.type('input[name=email]', email);
    await page.type('input[name=password]', 'an even better horse');
    await page.click(button);
  };
  await page.open(url);
  await shows('Create an account');
  await withPassword('#register');
  await shows(`Hello ${email}`);

  await page.click('#sign-out');
  await shows('Create an account');
  await withPassword('#sign-in');
  await shows(`Hello ${email}`);
  assert.ok(!(await page.text()).includes('This device'));

  await page.click('#add');
  await shows('This device');

  await page.click('#sign-out');
  await shows('Create an account');
  await page.click('#passkey');
  await shows(`Hello ${email}`);

  await page.open(url);
  await shows('This device');
  assert.equal(await page.run('document.cookie'), '');
  assert.equal(await page.run('localStorage.length + sessionStorage.length'), 0);

  await page.click('#sign-out');
  await shows('Create an account');
  const asked =
    await page.run<string>(`(globalThis.asked = [], globalThis.fetch = new Proxy(fetch, { apply(target, self, args) {
    asked.push(new URL(args[0], location).pathname); return Reflect.apply(target, self, args); } }), 'watching')`);
  assert.equal(asked, 'watching');
  await withPassword('#sign-in');
  await shows(`Hello ${email}`);
  assert.ok(await page.run(`asked.includes('/api/auth/mfa/verify')`));
  assert.deepEqual(await page.run(`document.querySelector('[role=alert]').innerText`), '');
  await page.close();
}
