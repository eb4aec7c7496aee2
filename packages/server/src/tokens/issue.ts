/** Issues access tokens (RFC 9068) and the token answer. Signing is synchronous: it never waits behind password hashes. */
import { signCompact } from '@auth-service/guard';
import { type AccessTokenClaims, accessTokenType, type TokenAnswer } from '@auth-service/protocol';
import { type ShownUser, toUser } from '../accounts/index.ts';
import type { RootSecret, SigningKeys } from '../keys/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { IssuedSession } from '../sessions/index.ts';
import { writeRefreshToken } from './refresh-token.rule.ts';

export interface IssuedFor {
  readonly user: ShownUser & { readonly epoch: number };
  readonly session: IssuedSession;
}

export interface TokenIssuer {
  /** Throws when nothing could be issued now: asked before anything is changed for the sake of an answer. */
  assertReady(): void;
  issue(what: IssuedFor): TokenAnswer;
}

/** The real life of each token is up to this share shorter, so that refreshes do not come in herds. */
const lifeJitter = 0.05;

export function createTokenIssuer(deps: {
  readonly keys: Pick<SigningKeys, 'active'>;
  readonly root: RootSecret;
  readonly clock: Clock;
  readonly random: Random;
  readonly issuer: string;
  readonly audience: string;
  readonly accessTtlSeconds: number;
  /** Whether a refresh token names the user, as the session store in use needs it. */
  readonly tokensNameUser: boolean;
  readonly onIssued: () => void;
}): TokenIssuer {
  const { keys, root, clock, random } = deps;
  return {
    assertReady: () => void keys.active(),
    issue({ user, session }) {
      const key = keys.active();
      const nowMs = clock.wallMs();
      const now = Math.floor(nowMs / 1_000);
      const [byte = 0] = random.bytes(1);
      // No access token outlives its session, nor that session's end for want of use.
      const ends = Math.min(session.ends_in, session.refresh_expires_in);
      const full = Math.min(deps.accessTtlSeconds, Math.floor(ends));
      const life = Math.max(1, Math.round(full * (1 - (lifeJitter * byte) / 255)));
      const claims: AccessTokenClaims = {
        iss: deps.issuer,
        aud: deps.audience,
        sub: user.id,
        client_id: 'auth-service',
        sid: session.id,
        jti: random.uuidv7(nowMs),
        iat: now,
        exp: now + life,
        auth_time: Math.floor(session.auth_time.getTime() / 1_000),
        amr: session.amr,
        acr: session.acr,
        roles: user.roles,
        permissions: user.permissions,
        epoch: user.epoch,
      };
      const header = { alg: key.algorithm, typ: accessTokenType, kid: key.kid };
      deps.onIssued();
      return {
        access_token: signCompact(header, claims, key.privateKey, key.algorithm),
        token_type: 'Bearer',
        expires_in: life,
        refresh_token: writeRefreshToken(root, {
          sessionId: session.id,
          userId: deps.tokensNameUser ? user.id : null,
          counter: session.counter,
        }),
        refresh_expires_in: Math.max(0, Math.floor(session.refresh_expires_in)),
        session_id: session.id,
        user: toUser(user),
      };
    },
  };
}
