/** An account that holds every artefact there is, and what each of them is worth afterwards. */
import assert from 'node:assert/strict';
import type { TokenAnswer } from '../../../packages/protocol/src/index.ts';
import {
  type Authenticator,
  type CreationOptions,
  createAuthenticator,
  type RequestOptions,
} from '../../support/authenticator.ts';
import { type Answer, problemCode, tokensOf } from '../../support/http.ts';
import { type RunningService, until } from '../../support/service.ts';
import type { TestSmtp } from '../../support/smtp.ts';
import { login, newPassword, refresh, register, worth } from './suite.ts';

export const artefacts = [
  'access token',
  'session',
  'access tokens of others',
  'other sessions',
  'half-done login',
  'link in a mail',
  'device token',
  'API key',
] as const;
export type Artefact = (typeof artefacts)[number];

/** `less`: it lives, without what its holder has lost. */
export type Fate = 'ends' | 'stays' | 'less';

/** The nodes of one store; the events happen on the first, and every one of them is asked. */
export interface World {
  readonly nodes: readonly RunningService[];
  readonly smtp: TestSmtp;
  /** An administrator. */
  readonly account: { readonly email: string; readonly password: string };
  /** An access token of the administrator that is good now. */
  readonly administrator: () => Promise<string>;
}

export interface Holder {
  /** As it is now: events may change it. */
  email: string;
  password: string;
  readonly userId: string;
  readonly authenticator: Authenticator;
  readonly passkeyId: string;
  /** The session that acts; the same one after a step-up or a refresh by an event. */
  acting: TokenAnswer;
  readonly other: TokenAnswer;
  readonly mfaToken: string;
  readonly mailToken: string;
  readonly deviceToken: string;
  readonly apiKey: string;
}

/** What the holder may do, by a role of its own. */
export const heldRole = 'key-maker';
export const heldPermissions = ['api-keys:write', 'reports:read'];
/** What the API key may do, and a change of roles takes away. */
export const keyPermission = 'reports:read';

const webauthn = '/api/auth/webauthn';

export async function ok<T>(answer: Promise<Answer>, status = 200): Promise<T> {
  const { status: got, body, text } = await answer;
  assert.equal(got, status, text.slice(0, 500));
  return body as T;
}

export async function passkeyLogin(node: RunningService, authenticator: Authenticator): Promise<TokenAnswer> {
  const { options } = await ok<{ options: RequestOptions }>(node.api.post(`${webauthn}/login/options`));
  return tokensOf(await node.api.post(`${webauthn}/login/verify`, { response: authenticator.get(options) }));
}

export async function addPasskey(node: RunningService, token: string, authenticator: Authenticator): Promise<string> {
  const { options } = await ok<{ options: CreationOptions }>(
    node.api.post(`${webauthn}/registration/options`, undefined, { token }),
  );
  const response = authenticator.create(options);
  const made = await ok<{ credential: { id: string } }>(
    node.api.post(`${webauthn}/registration/verify`, { response }, { token }),
    201,
  );
  return made.credential.id;
}

/** The code of the newest mail to this address with this subject. */
export function mailedCode(smtp: TestSmtp, to: string, subject: RegExp): Promise<string> {
  return until(`a mail to ${to}: ${subject}`, async () => {
    const mail = smtp.received.findLast((one) => one.to.includes(to) && subject.test(one.subject));
    return mail === undefined ? undefined : (/\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}\b/.exec(mail.text)?.[0] ?? undefined);
  });
}

export async function createHolder({ nodes, smtp, administrator }: World): Promise<Holder> {
  const [node] = nodes;
  assert.ok(node !== undefined);
  const account = await register(node);
  const userId = account.tokens.user.id;
  const token = await administrator();
  await ok(node.api.send('PUT', `/api/admin/users/${userId}/roles`, { roles: ['user', heldRole] }, { token }));
  const renewed = tokensOf(await refresh(node, account.tokens.refresh_token));
  const authenticator = createAuthenticator({ origin: node.env['PUBLIC_URL'] ?? '' });
  const passkeyId = await addPasskey(node, renewed.access_token, authenticator);
  const other = await passkeyLogin(node, authenticator);
  const acting = await passkeyLogin(node, authenticator);
  const made = await ok<{ secret: string }>(
    node.api.post(
      '/api/admin/api-keys',
      { name: 'of the matrix', permissions: [keyPermission] },
      { token: acting.access_token },
    ),
    201,
  );
  const half = await login(node, account);
  assert.equal(problemCode(half), 'mfa_required', half.text);
  await ok(node.api.post('/api/auth/forgot-password', { email: account.email }), 202);
  return {
    email: account.email,
    password: account.password,
    userId,
    authenticator,
    passkeyId,
    acting,
    other,
    mfaToken: (half.body as { mfa_token: string }).mfa_token,
    mailToken: await mailedCode(smtp, account.email, /password/i),
    deviceToken: acting.device_token ?? '',
    apiKey: made.secret,
  };
}

/** Everything that the holder has, asked of all nodes; what is used up by the question is asked last. */
export async function fateOf(world: World, holder: Holder): Promise<ReadonlyMap<Artefact, Fate>> {
  const { nodes } = world;
  const last = nodes.at(-1);
  assert.ok(last !== undefined);
  const everywhere = async (what: string, ask: (node: RunningService) => Promise<Fate>): Promise<Fate> => {
    const fates = await Promise.all(nodes.map(ask));
    assert.equal(new Set(fates).size, 1, `${what}: the nodes do not agree: ${fates.join()}`);
    return fates[0] as Fate;
  };
  const ofToken = (token: string) => async (node: RunningService) => {
    const word = await worth(node, token);
    assert.ok(['valid', 'revoked', 'invalid'].includes(word), word);
    return word === 'valid' ? 'stays' : ('ends' as Fate);
  };
  const ofSession = async ({ session_id: id, refresh_token: token }: TokenAnswer): Promise<Fate> => {
    const answer = await refresh(last, token);
    const listed = await isListed(world, holder.userId, id);
    assert.equal(listed, answer.status === 200, `session ${id} is listed: ${listed}; refresh ${answer.text}`);
    return listed ? 'stays' : 'ends';
  };

  const fates = new Map<Artefact, Fate>();
  fates.set('access token', await everywhere('access token', ofToken(holder.acting.access_token)));
  fates.set('access tokens of others', await everywhere('other access token', ofToken(holder.other.access_token)));
  fates.set('API key', await everywhere('API key', (node) => ofApiKey(node, holder.apiKey)));
  fates.set('session', await ofSession(holder.acting));
  fates.set('other sessions', await ofSession(holder.other));
  fates.set('half-done login', await everywhere('half-done login', (node) => ofHalfDone(node, holder.mfaToken)));
  fates.set('device token', await ofDeviceToken(last, holder));
  fates.set('link in a mail', await ofMailToken(last, holder.mailToken));
  return fates;
}

async function isListed(world: World, userId: string, sessionId: string): Promise<boolean> {
  const node = world.nodes.at(-1);
  const token = await world.administrator();
  const answer = await node?.api.get(`/api/admin/users/${userId}/sessions`, { token });
  if (answer?.status === 404) return false;
  assert.equal(answer?.status, 200, answer?.text);
  return (answer.body as { items: { id: string }[] }).items.some(({ id }) => id === sessionId);
}

/** A node that has heard of a change of the owner and not yet what is left of the key vouches for neither: 503 until it has. */
function ofApiKey(node: RunningService, token: string): Promise<Fate> {
  return until('what is left of an API key', async () => {
    const body = { token, required_permissions: [keyPermission] };
    const answer = await node.api.post('/api/auth/validate-token', body);
    if (answer.status === 503) return undefined;
    assert.equal(answer.status, 200, answer.text);
    const { valid, reason } = answer.body as { valid: boolean; reason?: string };
    if (valid) return 'stays';
    return reason === 'insufficient_permissions' ? 'less' : 'ends';
  });
}

/** A wrong code tells a login that waits for one from one that does not; it costs one of five tries. */
async function ofHalfDone(node: RunningService, token: string): Promise<Fate> {
  const answer = await node.api.post('/api/auth/mfa/verify', { mfa_token: token, recovery_code: 'WRONG-WRONG-WRONG' });
  const code = problemCode(answer);
  assert.ok(answer.status === 401 && (code === 'mfa_invalid' || code === 'mfa_token_invalid'), answer.text);
  return code === 'mfa_invalid' ? 'stays' : 'ends';
}

/** Strangers lock the account: whoever holds a device token that is good still gets to the password. */
async function ofDeviceToken(node: RunningService, holder: Holder): Promise<Fate> {
  const strangers = { email: holder.email, password: newPassword() };
  for (let wrong = 0; wrong < 6; wrong += 1) await login(node, strangers);
  assert.equal(problemCode(await login(node, holder)), 'account_locked');
  const answer = await login(node, holder, { device_token: holder.deviceToken });
  return problemCode(answer) === 'account_locked' ? 'ends' : 'stays';
}

async function ofMailToken(node: RunningService, token: string): Promise<Fate> {
  const answer = await node.api.post('/api/auth/reset-password', { token, new_password: newPassword() });
  if (answer.status === 200) return 'stays';
  assert.equal(problemCode(answer), 'invalid_mail_token', answer.text);
  return 'ends';
}
