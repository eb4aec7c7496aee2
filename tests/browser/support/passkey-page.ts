/**
 * A page as an application would have it, and the way from it to the service under the page's own origin. What the page does
 * it does by its buttons; what came of it stands in its output, as JSON.
 */
import { startPage, type TestPage } from './page-server.ts';

const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>An application</title>
<link rel="icon" href="data:,">
<form>
<label>E-mail <input id="email" autocomplete="username"></label>
<label>Password <input id="password" type="password" autocomplete="current-password"></label>
<button type="button" id="register">Register</button>
<button type="button" id="password-login">Log in with the password</button>
<button type="button" id="add">Add a passkey</button>
<button type="button" id="login">Log in with a passkey</button>
<button type="button" id="second">Prove the second factor</button>
<button type="button" id="reauthenticate">Prove it again</button>
<button type="button" id="remove">Remove the passkey</button>
</form>
<output></output>
<script>
  const out = document.querySelector('output');
  const valueOf = (id) => document.getElementById(id).value;
  let tokens = {};
  let pending = {};

  async function call(method, path, body) {
    const headers = { 'Content-Type': 'application/json' };
    if (tokens.access_token !== undefined) headers.Authorization = 'Bearer ' + tokens.access_token;
    const response = await fetch('/api/auth' + path, { method, headers, body: JSON.stringify(body) });
    const answer = { status: response.status, ...(await response.json()) };
    if (answer.access_token !== undefined) tokens = answer;
    if (answer.mfa_token !== undefined) pending = answer;
    return answer;
  }
  async function create() {
    const { options } = await call('POST', '/webauthn/registration/options', {});
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return (await navigator.credentials.create({ publicKey })).toJSON();
  }
  async function get(path, body) {
    const { options } = await call('POST', path, body);
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    return (await navigator.credentials.get({ publicKey })).toJSON();
  }
  const actions = {
    register: () => call('POST', '/register', { user: { email: valueOf('email'), password: valueOf('password') } }),
    'password-login': () => {
      tokens = {};
      return call('POST', '/login', { email: valueOf('email'), password: valueOf('password') });
    },
    add: async () => call('POST', '/webauthn/registration/verify', { response: await create() }),
    login: async () => {
      tokens = {};
      return call('POST', '/webauthn/login/verify', { response: await get('/webauthn/login/options', {}) });
    },
    second: async () => {
      const { mfa_token } = pending;
      const webauthn = await get('/mfa/webauthn/options', { mfa_token });
      return call('POST', '/mfa/verify', { mfa_token, webauthn });
    },
    reauthenticate: async () =>
      call('POST', '/reauthenticate', { webauthn: await get('/reauthenticate/options', {}) }),
    remove: async () => {
      const { credentials } = await call('GET', '/webauthn/credentials');
      return call('DELETE', '/webauthn/credentials/' + credentials[0].id);
    },
  };
  for (const [id, act] of Object.entries(actions)) {
    document.getElementById(id).addEventListener('click', async () => {
      out.textContent = '';
      let result;
      try {
        result = await act();
      } catch (error) {
        result = { error: error.name, message: error.message };
      }
      out.textContent = JSON.stringify(result);
    });
  }
</script>
</html>
`;

export const startPasskeyPage = (): Promise<TestPage> =>
  startPage({ '/': { type: 'text/html; charset=utf-8', body: html } });
