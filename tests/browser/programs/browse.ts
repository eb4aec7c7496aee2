/** Starts a browser, tells where its profile is, and waits to be killed. */
import { startChromium } from '../../support/chromium.ts';

const browser = await startChromium();
console.log(browser.profile);
setInterval(() => undefined, 60_000);
