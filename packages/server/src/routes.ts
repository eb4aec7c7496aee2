/** The table of routes: one line an endpoint. */

import { auditEventsRoutes } from './administration/audit-events.route.ts';
import { exportUserRoute } from './administration/export-user.route.ts';
import { keysRoutes } from './administration/keys.route.ts';
import { mailsRoutes } from './administration/mails.route.ts';
import { rolesRoutes } from './administration/roles.route.ts';
import { adminSessionsRoutes } from './administration/sessions.route.ts';
import { statisticsRoute } from './administration/statistics.route.ts';
import { userRoutes } from './administration/user.route.ts';
import { usersRoutes } from './administration/users.route.ts';
import { apiKeyRoutes } from './api-keys/api-keys.route.ts';
import { serviceAccountRoutes } from './api-keys/service-accounts.route.ts';
import { withCookieAnswers } from './cookies/index.ts';
import type { Core } from './core.ts';
import type { LoginOutcome, PasskeyLoginOutcome, RegisterOutcome } from './login/index.ts';
import { loginRoute } from './login/login.route.ts';
import { mfaOptionsRoute } from './login/mfa-options.route.ts';
import { mfaVerifyRoute } from './login/mfa-verify.route.ts';
import { passkeyLoginRoutes } from './login/passkey-login.route.ts';
import { reauthenticateOptionsRoute, reauthenticateRoute } from './login/reauthenticate.route.ts';
import { registerRoute } from './login/register.route.ts';
import { beginTotpRoute } from './mfa/begin-totp.route.ts';
import { confirmTotpRoute } from './mfa/confirm-totp.route.ts';
import { getMfaRoute } from './mfa/get-mfa.route.ts';
import { recoveryCodesRoute } from './mfa/recovery-codes.route.ts';
import { removeTotpRoute } from './mfa/remove-totp.route.ts';
import { clusterStatusRoute } from './operations/cluster-status.route.ts';
import { docsRoute, metricsRoute, openapiRoute } from './operations/documents.route.ts';
import { healthRoutes } from './operations/health.route.ts';
import type { Health } from './operations/index.ts';
import { credentialRoutes } from './passkeys/credentials.route.ts';
import { registrationRoutes } from './passkeys/registration.route.ts';
import { buildOpenApi, type OpenApiDocument, type RouteDefinition, renderDocsPage } from './platform/http/index.ts';
import { changePasswordRoute } from './profile/change-password.route.ts';
import { deleteMeRoute } from './profile/delete-me.route.ts';
import { exportMeRoute } from './profile/export-me.route.ts';
import { updateMeRoute } from './profile/update-me.route.ts';
import { changeEmailRoute } from './recovery/change-email.route.ts';
import { forgotPasswordRoute } from './recovery/forgot-password.route.ts';
import { mailPageRoutes } from './recovery/pages.route.ts';
import { resendVerificationRoute } from './recovery/resend-verification.route.ts';
import { resetPasswordRoute } from './recovery/reset-password.route.ts';
import { verifyEmailRoute } from './recovery/verify-email.route.ts';
import { deleteSessionRoute } from './sessions/delete-session.route.ts';
import { listSessionsRoute } from './sessions/list-sessions.route.ts';
import { logoutRoute } from './sessions/logout.route.ts';
import { meRoute } from './sessions/me.route.ts';
import { jwksRoute } from './tokens/jwks.route.ts';
import { metadataRoute } from './tokens/metadata.route.ts';
import { refreshTokenRoute } from './tokens/refresh-token.route.ts';
import { revocationFeedRoute } from './tokens/revocation-feed.route.ts';
import { revocationReceiptRoute } from './tokens/revocation-receipt.route.ts';
import { revokeAllTokensRoute } from './tokens/revoke-all-tokens.route.ts';
import { validateTokenRoute } from './tokens/validate-token.route.ts';

/** The part of the core that routes need; the OpenAPI generator passes one that is never called. */
export type RouteCore = Pick<
  Core,
  | 'apiKeys'
  | 'serviceAccounts'
  | 'cursors'
  | 'feed'
  | 'sleep'
  | 'clock'
  | 'db'
  | 'login'
  | 'passkeyLogin'
  | 'passkeys'
  | 'register'
  | 'sessions'
  | 'revocation'
  | 'refresh'
  | 'revokeAll'
  | 'validate'
  | 'keyKnown'
  | 'keys'
  | 'profile'
  | 'exportUser'
  | 'mfa'
  | 'secondStep'
  | 'reauthenticate'
  | 'access'
  | 'audit'
  | 'once'
  | 'users'
  | 'sessionAdministration'
  | 'keyAdministration'
  | 'statistics'
  | 'recovery'
  | 'mailAdministration'
  | 'random'
>;

export interface RouteDeps {
  readonly core: RouteCore;
  readonly health: Health;
  readonly cluster: Parameters<typeof clusterStatusRoute>[0];
  readonly renderMetrics: () => Promise<string>;
  readonly onLogin: (outcome: LoginOutcome | PasskeyLoginOutcome) => void;
  readonly onRegister: (outcome: RegisterOutcome) => void;
  readonly onStreamFailed: (error: unknown) => void;
  readonly version: string;
  /** Also `iss` of tokens. */
  readonly publicUrl: string;
  readonly audience: string;
  /** Whether pages may ask for cookies. */
  readonly cookies: boolean;
}

export function createRoutes(deps: RouteDeps): readonly RouteDefinition[] {
  const { core } = deps;
  const routes: readonly RouteDefinition[] = [
    registerRoute({ register: core.register, onOutcome: deps.onRegister }),
    loginRoute({ login: core.login, onOutcome: deps.onLogin }),
    ...passkeyLoginRoutes({ passkeyLogin: core.passkeyLogin, onOutcome: deps.onLogin }),
    mfaVerifyRoute({ secondStep: core.secondStep, onOutcome: deps.onLogin }),
    mfaOptionsRoute(core.secondStep),
    reauthenticateRoute(core.reauthenticate),
    reauthenticateOptionsRoute(core.reauthenticate),
    refreshTokenRoute(core.refresh),
    validateTokenRoute(core.validate, core.keyKnown),
    logoutRoute(core),
    meRoute(core),
    updateMeRoute(core.profile),
    exportMeRoute(core.exportUser),
    deleteMeRoute({ profile: core.profile, now: () => core.clock.wallMs() / 1_000 }),
    changePasswordRoute(core.profile),
    verifyEmailRoute(core.recovery),
    resendVerificationRoute(core.recovery),
    forgotPasswordRoute(core.recovery),
    resetPasswordRoute(core.recovery),
    changeEmailRoute({ recovery: core.recovery, now: () => core.clock.wallMs() / 1_000 }),
    ...mailPageRoutes((count) => core.random.bytes(count)),
    ...registrationRoutes(core.passkeys),
    ...credentialRoutes(core.passkeys),
    getMfaRoute(core.mfa.enrolment),
    beginTotpRoute(core.mfa.enrolment),
    confirmTotpRoute(core.mfa.enrolment),
    removeTotpRoute(core.mfa.enrolment),
    recoveryCodesRoute(core.mfa.enrolment),
    listSessionsRoute(core.sessions),
    deleteSessionRoute(core),
    revokeAllTokensRoute(core.revokeAll),
    revocationFeedRoute({
      ...{ feed: core.feed, validate: core.validate, sleep: core.sleep, monotonicMs: core.clock.monotonicMs },
      onFailed: deps.onStreamFailed,
    }),
    revocationReceiptRoute(core.revocation),
    ...apiKeyRoutes({ apiKeys: core.apiKeys, cursors: core.cursors, nowMs: () => core.clock.wallMs() }),
    ...serviceAccountRoutes(core),
    jwksRoute(core.keys),
    metadataRoute({ issuer: deps.publicUrl, audience: deps.audience }),
    ...usersRoutes(core),
    ...userRoutes(core.users),
    exportUserRoute(core.exportUser),
    ...rolesRoutes(core),
    ...adminSessionsRoutes({ sessions: core.sessionAdministration, cursors: core.cursors }),
    ...auditEventsRoutes(core),
    ...keysRoutes(core.keyAdministration),
    ...mailsRoutes({ mails: core.mailAdministration, cursors: core.cursors }),
    statisticsRoute(core.statistics),
    ...healthRoutes(deps.health),
    clusterStatusRoute(deps.cluster),
    metricsRoute(deps.renderMetrics),
    openapiRoute(() => text()),
    docsRoute(() => page()),
  ];
  const document = once(() =>
    describe(deps.cookies ? withCookieAnswers(routes) : routes, deps.version, deps.publicUrl),
  );
  const text = once(() => JSON.stringify(document()));
  const page = once(() => renderDocsPage(document()));
  return routes;
}

const tags = [
  { name: 'accounts', description: 'Register, log in, who am I.' },
  { name: 'passkeys', description: 'Passkeys (WebAuthn): add, use, rename, remove.' },
  { name: 'mfa', description: 'Second factors, and proving again who you are.' },
  { name: 'recovery', description: 'What mails allow: prove an address, choose a new password, change the address.' },
  { name: 'tokens', description: 'Validate and refresh tokens; the keys that verify them.' },
  { name: 'sessions', description: 'What a login starts and a logout ends; receipts of revocations.' },
  { name: 'administration', description: 'Accounts, roles, sessions, keys and the audit log, each by a permission.' },
  { name: 'api keys', description: 'Keys for programs, and the service accounts that own some of them.' },
  { name: 'operations', description: 'Health, metrics, the cluster, this description.' },
];

/** This API as an OpenAPI 3.1 document, from the same table that validates requests and serialises answers. */
export function describe(routes: readonly RouteDefinition[], version: string, serverUrl: string): OpenApiDocument {
  const description =
    'Self-hosted authentication. Tokens are verified locally; a revocation is in force on every node when its answer arrives, or the answer says by when.';
  return buildOpenApi({ routes, tags, info: { title: 'AuthService', version, serverUrl, description } });
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
