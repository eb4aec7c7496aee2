/**
 * The pages that links in mails open: they show a form, and change nothing. The secret stands behind the `#`, so no server sees it
 * before it is sent; it is put into the form and taken out of the address.
 *
 * No outside assets; style and script are allowed by a nonce of each answer; nobody may frame, index or keep the page. Without
 * scripts it shows what to do with the code.
 */

export interface MailPage {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

interface Words {
  readonly title: string;
  readonly lead: string;
  readonly action: string;
  readonly button: string;
  readonly done: string;
  /** A new one; the one that was registered with, or else a new one; none. */
  readonly password: 'new' | 'registered' | 'none';
}

const pages = {
  'verify-email': {
    title: 'Confirm your e-mail address',
    lead: 'Type the password that you registered with. If somebody else began this account, choose one of your own.',
    action: 'api/auth/verify-email',
    button: 'Confirm',
    done: 'The address is confirmed. You can log in, and close this page.',
    password: 'registered',
  },
  'change-email': {
    title: 'Confirm your new e-mail address',
    lead: 'Your account has this address from then on, and every other session ends.',
    action: 'api/auth/verify-email',
    button: 'Confirm',
    done: 'The address is confirmed. You can close this page.',
    password: 'none',
  },
  'reset-password': {
    title: 'Choose a new password',
    lead: 'Every session of the account ends, and you log in with the new password.',
    action: 'api/auth/reset-password',
    button: 'Set the password',
    done: 'The password is changed. You can log in with it now.',
    password: 'new',
  },
} as const satisfies Readonly<Record<string, Words>>;

export type MailPageName = keyof typeof pages;

const style = `
:root { color-scheme: light dark; --line: #ccc; --back: #fff; --text: #1a1a1a; --soft: #555; --accent: #1f5fbf; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --back: #16181c; --text: #e8e8e8; --soft: #aaa; --accent: #7fb0ff; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 26rem; margin: 0 auto; padding: 2rem 1.25rem; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .75rem; }
p { margin: 0 0 1rem; } .soft { color: var(--soft); font-size: .9rem; }
label { display: block; font-weight: 600; margin: 0 0 1rem; }
input { display: block; width: 100%; margin-top: .25rem; padding: .6rem .7rem; font: inherit; color: inherit; background: transparent; border: 1px solid var(--line); border-radius: .4rem; }
input[name=token] { font-family: ui-monospace, monospace; letter-spacing: .05em; text-transform: uppercase; }
button { width: 100%; padding: .7rem; font: inherit; font-weight: 600; color: var(--back); background: var(--accent); border: 0; border-radius: .4rem; cursor: pointer; }
button.plain { margin-top: .75rem; padding: .4rem; color: var(--accent); background: transparent; text-decoration: underline; font-weight: 400; }
button:disabled { opacity: .6; cursor: default; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
#said { margin-top: 1rem; } #said.bad { color: var(--bad); }
[hidden] { display: none; }
`;

const script = (done: string): string => `
'use strict';
const form = document.getElementById('form'), said = document.getElementById('said'), button = form.querySelector('button');
const say = (text, bad) => { said.textContent = text; said.className = bad ? 'bad' : ''; };
const given = /^#token=([0-9A-Za-z-]{16,40})$/.exec(location.hash);
if (given) { form.elements.token.value = given[1]; history.replaceState(null, '', location.pathname); }
form.hidden = false;
const other = document.getElementById('other');
if (other) other.addEventListener('click', () => {
  const field = form.elements.password;
  field.name = 'new_password'; field.autocomplete = 'new-password'; field.value = '';
  document.getElementById('which').textContent = 'New password';
  say('Whatever was set before is worth nothing then, whoever chose it.', false);
  other.hidden = true; field.focus();
});
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  say('One moment…', false);
  try {
    const answer = await fetch(form.getAttribute('action'), {
      method: 'POST', credentials: 'omit', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    if (answer.ok) { form.hidden = true; say(${JSON.stringify(done)}, false); return; }
    const problem = await answer.json().catch(() => ({}));
    if (problem.code === 'invalid_credentials') { say('This is not the password that the account was registered with.', true); button.disabled = false; return; }
    const fields = (problem.errors || []).map((one) => one.detail).join(' ');
    say(fields || (problem.title ? problem.title + '.' : 'It did not work. Try again in a moment.'), true);
  } catch { say('The service cannot be reached. Try again in a moment.', true); }
  button.disabled = false;
});
`;

const passwordField: Readonly<Record<Words['password'], string>> = {
  new: '<label>New password<input name="new_password" type="password" autocomplete="new-password" required></label>',
  registered:
    '<label><span id="which">Password</span><input name="password" type="password" autocomplete="current-password" required></label>',
  none: '',
};

/** `nonce`: random, of this answer alone. */
export function renderMailPage(name: MailPageName, nonce: string): MailPage {
  const { title, lead, action, button, done, password } = pages[name];
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>${title}</title>
<style nonce="${nonce}">${style}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p>${lead}</p>
<form id="form" action="${action}" method="post" hidden>
<label>Code from the mail<input name="token" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" maxlength="40" required></label>
${passwordField[password]}
<button type="submit">${button}</button>
${password === 'registered' ? '<button type="button" class="plain" id="other">I did not register, or do not know that password</button>' : ''}
</form>
<p id="said" role="status"></p>
<noscript><p class="soft">This page needs scripts. Without them, type the code from the mail where you asked for it.</p></noscript>
</main>
<script nonce="${nonce}">${script(done)}</script>
</body>
</html>
`;
  const contentSecurityPolicy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
  return { html, contentSecurityPolicy };
}
