/**
 * Passkeys in a real browser, with its virtual authenticator, on a page as an application would have it: what the browser and
 * the service each make of a ceremony, nothing in between imitated.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertQuiet, claimsOf, newEmail, newPassword, worth } from '../service/support/suite.ts';
import { type Browser, type Page, startChromium } from '../support/chromium.ts';
import { type RunningService, startService, storeKinds } from '../support/service.ts';
import type { TestPage } from './support/page-server.ts';
import { startPasskeyPage } from './support/passkey-page.ts';

/** What the page shows of an answer, or of what the browser refused. */
interface Shown {
  readonly status?: number;
  readonly code?: string;
  readonly error?: string;
  readonly access_token?: string;
  readonly refresh_token?: string;
  readonly credential?: { readonly id: string; readonly backup_eligible: boolean };
  readonly methods?: readonly string[];
}

interface Visitor {
  readonly page: Page;
  readonly authenticator: string;
  /** Presses the button, and answers what came of it. */
  press(button: string): Promise<Shown>;
  /** Fills in the form. */
  identify(email: string, password: string): Promise<void>;
  credentials(): Promise<readonly unknown[]>;
}

const internal = {
  protocol: 'ctap2',
  ctap2Version: 'ctap2_1',
  transport: 'internal',
  hasResidentKey: true,
  hasUserVerification: true,
  isUserVerified: true,
  automaticPresenceSimulation: true,
};

for (const store of storeKinds) {
  describe(`passkeys in a browser (${store})`, () => {
    let browser: Browser;
    let service: RunningService;
    let ours: TestPage;
    /** Somebody else's page, that passes everything on. */
    let theirs: TestPage;

    before(async () => {
      [browser, ours, theirs] = await Promise.all([startChromium(), startPasskeyPage(), startPasskeyPage()]);
      service = await startService({ store, env: { PUBLIC_URL: ours.origin } });
      ours.serve(service.url);
      theirs.serve(service.url);
    });
    after(async () => {
      await browser?.stop();
      await Promise.all([ours?.stop(), theirs?.stop()]);
      await service?.stop();
    });

    async function visit(url: string, options: object = internal): Promise<Visitor> {
      const page = await browser.newPage();
      await page.open(url);
      await page.send('WebAuthn.enable');
      const { authenticatorId } = await page.send('WebAuthn.addVirtualAuthenticator', { options });
      return {
        page,
        authenticator: String(authenticatorId),
        async press(button) {
          await page.click(`#${button}`);
          await page.until(`document.querySelector('output').textContent !== ''`);
          const shown = JSON.parse(await page.run<string>(`document.querySelector('output').textContent`)) as Shown;
          for (const secret of [shown.access_token, shown.refresh_token]) {
            if (secret !== undefined) service.secrets.add(secret);
          }
          return shown;
        },
        async identify(email, password) {
          service.secrets.add(password);
          await page.type('#email', email);
          await page.type('#password', password);
        },
        async credentials() {
          const found = await page.send('WebAuthn.getCredentials', { authenticatorId });
          return found['credentials'] as readonly unknown[];
        },
      };
    }

    /** A registered visitor with a passkey. */
    async function settled(url = ours.origin): Promise<Visitor> {
      const visitor = await visit(url);
      await visitor.identify(newEmail(), newPassword());
      assert.equal((await visitor.press('register')).status, 201);
      assert.equal((await visitor.press('add')).status, 201);
      return visitor;
    }

    test('CLM-10 somebody registers, adds a passkey, and logs in with nothing else', async () => {
      const visitor = await settled();
      assert.equal((await visitor.credentials()).length, 1);
      const shown = await visitor.press('login');
      assert.equal(shown.status, 200);
      const claims = claimsOf(shown.access_token ?? '');
      assert.deepEqual([claims['acr'], claims['amr']], ['aal2', ['hwk', 'user', 'mfa']]);
      assert.equal((await visitor.press('login')).status, 200);
      assert.deepEqual(visitor.page.messages, []);
      await visitor.page.close();
    });

    test('CLM-10 a passkey that its maker keeps a copy of is told as such', async () => {
      const options = { ...internal, defaultBackupEligibility: true, defaultBackupState: true };
      const visitor = await visit(ours.origin, options);
      await visitor.identify(newEmail(), newPassword());
      await visitor.press('register');
      assert.equal((await visitor.press('add')).credential?.backup_eligible, true);
      const claims = claimsOf((await visitor.press('login')).access_token ?? '');
      assert.deepEqual(claims['amr'], ['swk', 'user', 'mfa']);
      await visitor.page.close();
    });

    test('the browser adds no second passkey for the same account to the same authenticator', async () => {
      const visitor = await settled();
      assert.equal((await visitor.press('login')).status, 200);
      assert.equal((await visitor.press('add')).error, 'InvalidStateError');
      assert.equal((await visitor.credentials()).length, 1);
      await visitor.page.close();
    });

    test('WAK-01 a page of another origin gets a signature of the browser, and nothing for it', async () => {
      const victim = await settled();
      await victim.page.open(theirs.origin);
      const shown = await victim.press('login');
      assert.deepEqual([shown.status, shown.code], [401, 'webauthn_failed']);
      await victim.page.open(ours.origin);
      assert.equal((await victim.press('login')).status, 200);
      // Under another name the browser does not even sign.
      await victim.page.open(`http://127.0.0.1:${ours.port}`);
      assert.equal((await victim.press('login')).error, 'SecurityError');
      await victim.page.close();
    });

    test('WAK-01 a page of another origin adds no passkey', async () => {
      const visitor = await visit(theirs.origin);
      await visitor.identify(newEmail(), newPassword());
      assert.equal((await visitor.press('register')).status, 201);
      const shown = await visitor.press('add');
      assert.deepEqual([shown.status, shown.code], [401, 'webauthn_failed']);
      await visitor.page.close();
    });

    test('MFA-04 after the password the browser proves the second factor', async () => {
      const visitor = await settled();
      const asked = await visitor.press('password-login');
      assert.deepEqual([asked.status, asked.code, asked.methods], [401, 'mfa_required', ['webauthn']]);
      const claims = claimsOf((await visitor.press('second')).access_token ?? '');
      assert.deepEqual([claims['acr'], claims['amr']], ['aal2', ['pwd', 'hwk', 'user', 'mfa']]);
      await visitor.page.close();
    });

    test('SES-07 a step-up in the browser lets the session change its factors', async () => {
      const visitor = await settled();
      assert.equal((await visitor.press('remove')).code, 'reauthentication_required');
      const claims = claimsOf((await visitor.press('reauthenticate')).access_token ?? '');
      assert.deepEqual([claims['acr'], claims['amr']], ['aal2', ['hwk', 'user', 'mfa']]);
      assert.equal((await visitor.press('remove')).status, 200);
      assert.equal((await visitor.press('password-login')).status, 200);
      await visitor.page.close();
    });

    test('a removed passkey logs nobody in, though the authenticator still has it', async () => {
      const visitor = await settled();
      const { access_token: acting = '' } = await visitor.press('login');
      assert.equal((await visitor.press('remove')).status, 200);
      assert.equal(await worth(service, acting), 'valid');
      assert.equal((await visitor.credentials()).length, 1);
      const shown = await visitor.press('login');
      assert.deepEqual([shown.status, shown.code], [401, 'webauthn_failed']);
      assert.equal((await visitor.press('password-login')).status, 200);
      await visitor.page.close();
    });

    test('LOG-01 the service ends with 0, and no secret of this suite is in anything that it wrote', async () => {
      assert.equal(await service.halt(), 0, service.logs().slice(-3_000));
      assertQuiet(service);
    });
  });
}
