/**
 * Asks the service about a credential (`validate-token`): for routes that are `strict`, and for API keys, which only the service
 * knows. No answer is `stale`, never "valid". One question about a credential at a time, and a bounded number in all; of keys that
 * never were good here fewer, so that a flood of made-up ones is refused here, does not become a flood there, and leaves
 * room for the others.
 *
 * What was answered about an API key counts for as long as a route's own bound allows, from before it was asked, unless an end
 * of that key is known here meanwhile. That it is none counts for ten seconds, for the last thousand: no key comes to life.
 */
import type { AccessTokenClaims, ApiKeyClaims } from '@auth-service/protocol';
import { looksLikeApiKey } from '../api-keys.ts';
import type { Auth, Judgement } from '../doors/decide.ts';
import { authOfClaims } from '../doors/judge.ts';
import type { Replica } from '../replica.ts';
import { isObject, type ServiceHttp } from './http.ts';

export interface AskService {
  /** Never rejects. */
  ask(credential: string): Promise<Judgement>;
  /** What was answered about this API key at most `withinMs` ago. */
  remembered(credential: string, withinMs: number): Judgement | undefined;
  figures(): { readonly asked: number; readonly failures: number; readonly refusedAtOnce: number };
}

const askedAtOnceMax = 64;
const strangersAtOnceMax = 16;
const rememberedMax = 1_000;
const refusedMs = 10_000;
const timeoutMs = 2_000;

interface Remembered {
  readonly judgement: Extract<Judgement, { kind: 'valid' }>;
  readonly askedMs: number;
}

interface RememberedRefusal {
  readonly judgement: Judgement;
  readonly untilMs: number;
}

export function createAskService(deps: {
  readonly http: Pick<ServiceHttp, 'send'>;
  readonly path: () => Promise<string>;
  readonly issuer: string;
  readonly audience: string;
  readonly replica: Pick<Replica, 'covers'>;
  readonly monotonicNow: () => number;
  /** Seconds since 1970. */
  readonly now: () => number;
}): AskService {
  const { issuer, audience, replica, monotonicNow } = deps;
  const underWay = new Map<string, Promise<Judgement>>();
  const known = new Map<string, Remembered>();
  const refused = new Map<string, RememberedRefusal>();
  let strangers = 0;
  const counts = { asked: 0, failures: 0, refusedAtOnce: 0 };

  async function question(credential: string): Promise<Judgement> {
    counts.asked += 1;
    const askedMs = monotonicNow();
    try {
      const body = { token: credential };
      const { status, json } = await deps.http.send(await deps.path(), { method: 'POST', body, timeoutMs });
      const judgement = status === 200 ? read(json) : undefined;
      if (judgement === undefined)
        throw new Error(`the service did not say whether a token is valid (status ${status})`);
      if (judgement.kind === 'valid' && judgement.auth.apiKeyId !== null) {
        keep(known, credential, { judgement, askedMs });
      } else {
        known.delete(credential);
        const isKey = looksLikeApiKey(credential) && judgement.kind === 'refused';
        if (isKey) keep(refused, credential, { judgement, untilMs: monotonicNow() + refusedMs });
      }
      return judgement;
    } catch {
      counts.failures += 1;
      return undecided;
    } finally {
      underWay.delete(credential);
    }
  }

  /** Asked about, and neither good here before nor a token that is right here. */
  async function questionOfStranger(credential: string): Promise<Judgement> {
    strangers += 1;
    try {
      return await question(credential);
    } finally {
      strangers -= 1;
    }
  }

  function read(answer: unknown): Judgement | undefined {
    if (!isObject(answer)) return undefined;
    const { valid, reason, claims } = answer;
    if (valid === false) {
      return reason === 'expired' || reason === 'revoked'
        ? { kind: 'refused', reason }
        : { kind: 'refused', reason: 'invalid' };
    }
    if (valid !== true || !isObject(claims)) return undefined;
    if (claims['iss'] !== issuer) return undefined;
    const { aud } = claims;
    if (aud !== audience && !(Array.isArray(aud) && aud.includes(audience)))
      return { kind: 'refused', reason: 'invalid' };
    const auth = authOf(claims);
    return auth === undefined ? undefined : { kind: 'valid', auth };
  }

  return {
    ask(credential) {
      const same = underWay.get(credential);
      if (same !== undefined) return same;
      const none = refused.get(credential);
      if (none !== undefined && monotonicNow() < none.untilMs) return Promise.resolve(none.judgement);
      refused.delete(credential);
      const isStranger = looksLikeApiKey(credential) && !known.has(credential);
      if (underWay.size >= askedAtOnceMax || (isStranger && strangers >= strangersAtOnceMax)) {
        counts.refusedAtOnce += 1;
        return Promise.resolve(undecided);
      }
      const asked = isStranger ? questionOfStranger(credential) : question(credential);
      underWay.set(credential, asked);
      return asked;
    },
    remembered(credential, withinMs) {
      const one = known.get(credential);
      if (one === undefined) return undefined;
      const { auth } = one.judgement;
      const ended = 'exp' in auth.claims && auth.claims.exp !== undefined && !(deps.now() < auth.claims.exp);
      if (ended || replica.covers('token', auth.apiKeyId ?? '')) {
        known.delete(credential);
        return undefined;
      }
      return monotonicNow() - one.askedMs < withinMs ? one.judgement : undefined;
    },
    figures: () => ({ ...counts }),
  };
}

/** The oldest makes room. */
function keep<T>(map: Map<string, T>, credential: string, one: T): void {
  map.delete(credential);
  const [oldest] = map.keys();
  if (map.size >= rememberedMax && oldest !== undefined) map.delete(oldest);
  map.set(credential, one);
}

const undecided: Judgement = Object.freeze({ kind: 'refused', reason: 'stale' });

/** What the service answers is its word; only its form is looked at. `undefined` for another. */
function authOf(claims: Readonly<Record<string, unknown>>): Auth | undefined {
  const { sub, sid, jti, roles, permissions } = claims;
  if (typeof sub !== 'string' || typeof jti !== 'string' || !isTexts(permissions)) return undefined;
  if (typeof sid === 'string' && isTexts(roles)) {
    return authOfClaims(claims as unknown as AccessTokenClaims, false);
  }
  const key = claims as unknown as ApiKeyClaims;
  return Object.freeze({
    userId: sub,
    sessionId: null,
    apiKeyId: jti,
    roles: [],
    permissions,
    claims: key,
    stale: false,
  });
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');
