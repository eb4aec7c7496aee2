/**
 * Verifies access tokens: one synchronous call, no I/O. In this order: size, canonical form, header, key, signature, claims,
 * time, revocation, and **freshness last**, with nothing awaited between the look-up and the clock.
 *
 * A verified token is kept in a bounded cache. A hit saves form, signature and claims only: expiry, the key, revocation and
 * freshness are asked anew each time, so a hit never outlives any of them. A token known to be revoked is `revoked` also while
 * stale; only "valid" needs freshness.
 */
import type { KeyObject } from 'node:crypto';
import type { AccessTokenClaims } from '@auth-service/protocol';
import { type Cached, createTokenCache, flatCopy } from './cache.ts';
import { areAccessTokenClaims, type ClaimRules, findClaimProblem, isAccessTokenType, validFrom } from './claims.ts';
import { type CompactForm, isSignedBy, readCompact, readHeader } from './compact.ts';
import type { Freshness } from './freshness.ts';
import { readJsonObject } from './json.ts';
import { type KeySet, kidLengthMax } from './keys.ts';
import { leewaySecondsMax, type Replica } from './replica.ts';

/** Lives and dies with the cached token. What a caller derives from the claims alone may be kept here. */
export interface CacheEntry {
  memo: unknown;
}

/** A token that is valid now. */
export interface Verified {
  readonly kind: 'valid';
  /** Frozen through and through. */
  readonly claims: AccessTokenClaims;
  readonly kid: string;
  /** Seconds since 1970, the `exp` claim. */
  readonly expiresAt: number;
  /** Served without proof that every revocation is known: only with `whenStale: 'serve'`. */
  readonly stale: boolean;
  readonly entry: CacheEntry;
}

/** Why a token is refused; `stale`: it may be valid, but not every revocation is known here. */
export type RefusalReason = 'malformed' | 'invalid' | 'expired' | 'revoked' | 'stale';

/** For logs and metrics of our own; clients are told the reason at most. */
export type RefusalDetail =
  | 'size'
  | 'form'
  | 'header'
  | 'type'
  | 'key'
  | 'algorithm'
  | 'signature'
  | 'claims'
  | 'issuer'
  | 'audience'
  | 'time'
  | 'expired'
  | 'revoked'
  | 'stale';

/** A token that is refused. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  readonly detail: RefusalDetail;
}

/** Counters since the start. */
export interface VerifierFigures {
  readonly hit: number;
  readonly miss: number;
  readonly valid: number;
  /** Of the valid ones, those served without proof. */
  readonly servedStale: number;
  readonly malformed: number;
  readonly invalid: number;
  readonly expired: number;
  readonly revoked: number;
  readonly stale: number;
  /** Tokens in the cache now. */
  readonly cached: number;
}

/** Verifies access tokens in one synchronous call. */
export interface Verifier {
  /** The token is what `text` is from `start` on, from its beginning where nothing is said. */
  verify(text: string, start?: number): Verified | Refused;
  /** Totals since the start. */
  figures(): VerifierFigures;
}

/** What a verifier compares tokens with, and asks of its surroundings. */
export interface VerifierSettings {
  readonly keys: KeySet;
  readonly replica: Pick<Replica, 'isRevoked' | 'version' | 'horizon'>;
  readonly freshness: Pick<Freshness, 'isFresh'>;
  /** Compared byte for byte with `iss`. */
  readonly issuer: string;
  /** What `aud` must be or contain. */
  readonly audience: string;
  /** Seconds since 1970. */
  readonly clock: () => number;
  /** For `exp` and `nbf`; at most 60. */
  readonly leewaySeconds?: number;
  readonly maxFutureIatSeconds?: number;
  /** A token with a longer life (`exp` less `iat`) is invalid. */
  readonly maxLifetimeSeconds?: number;
  readonly maxTokenBytes?: number;
  /** 0 switches the cache off. */
  readonly cacheEntries?: number;
  readonly cacheBytes?: number;
  /** What a token gets that is valid except that freshness cannot be proved. */
  readonly whenStale?: 'refuse' | 'serve';
}

interface Slot extends Cached {
  readonly publicKey: KeyObject;
  readonly validFrom: number;
  /** `exp` with leeway: the first second at which the token is expired. */
  readonly validUntil: number;
  readonly verified: Verified;
  keysVersion: number;
  /** The replica's version for which the token is known not to be revoked. */
  clearedVersion: number;
}

interface Header {
  readonly text: string;
  readonly kid: string;
  readonly alg: unknown;
}

function openHeader(form: CompactForm): Header | RefusalDetail {
  const header = readHeader(form);
  if (header === undefined) return 'header';
  const { kid, alg, typ } = header as { kid?: unknown; alg?: unknown; typ?: unknown };
  if (!isAccessTokenType(typ)) return 'type';
  if (typeof kid !== 'string' || kid.length > kidLengthMax) return 'key';
  // A copy of its own, not a slice that keeps the token in memory.
  return { text: flatCopy(form.headerText), kid, alg };
}

const knownHeadersMax = 64;
const daySeconds = 86_400;
const never = -1;

/** Throws `TypeError` for settings under which nothing would be checked. */
export function createVerifier(settings: VerifierSettings): Verifier {
  const { keys, replica, freshness, clock } = settings;
  const { maxTokenBytes = 8_192, cacheEntries = 20_000, cacheBytes = 64 * 1_024 * 1_024 } = settings;
  const serveStale = (settings.whenStale ?? 'refuse') === 'serve';
  const rules = readRules(settings);
  const cache = createTokenCache<Slot>({ entries: cacheEntries, bytes: cacheBytes });
  const counts = {
    ...{ hit: 0, miss: 0, valid: 0, servedStale: 0 },
    ...{ malformed: 0, invalid: 0, expired: 0, revoked: 0, stale: 0 },
  };

  function refuse(detail: RefusalDetail): Refused {
    const refused = refusals[detail];
    counts[refused.reason] += 1;
    return refused;
  }

  // The tokens of one key have one header: what was read, and seen on a token with a right signature, need not be read again.
  const knownHeaders = new Map<string, Header>();
  function remember(header: Header): void {
    if (knownHeaders.has(header.text)) return;
    if (knownHeaders.size >= knownHeadersMax) knownHeaders.clear();
    knownHeaders.set(header.text, header);
  }

  /** Everything about a token that does not change with time. */
  function open(token: string): Slot | RefusalDetail {
    const form = readCompact(token);
    if (form === undefined) return 'form';
    const header = knownHeaders.get(form.headerText) ?? openHeader(form);
    if (typeof header === 'string') return header;
    const keysVersion = keys.version();
    const key = keys.find(header.kid);
    if (key === undefined) return 'key';
    if (header.alg !== key.algorithm) return 'algorithm';
    if (!isSignedBy(form, key.publicKey, key.algorithm)) return 'signature';
    remember(header);
    const claims = readJsonObject(form.payload);
    if (claims === undefined || !areAccessTokenClaims(claims)) return 'claims';
    const problem = findClaimProblem(claims, rules);
    if (problem !== undefined) return problem;
    const verified: Verified = {
      kind: 'valid',
      claims,
      kid: key.kid,
      expiresAt: claims.exp,
      stale: false,
      entry: { memo: undefined },
    };
    return {
      // A copy of its own: the caller's string may be a slice that keeps a whole request in memory.
      token: form.bytes.toString('latin1'),
      framed: undefined,
      publicKey: key.publicKey,
      validFrom: validFrom(claims, rules),
      validUntil: claims.exp + rules.leewaySeconds,
      verified: Object.freeze(verified),
      keysVersion,
      clearedVersion: never,
    };
  }

  function isKeyStillThere(slot: Slot): boolean {
    const version = keys.version();
    if (slot.keysVersion === version) return true;
    if (keys.find(slot.verified.kid)?.publicKey !== slot.publicKey) return false;
    slot.keysVersion = version;
    return true;
  }

  function isRevoked(slot: Slot): boolean {
    const version = replica.version();
    if (slot.clearedVersion === version) return false;
    if (replica.isRevoked(slot.verified.claims, slot.verified.kid)) return true;
    slot.clearedVersion = version;
    return false;
  }

  function judge(slot: Slot): Verified | Refused {
    // The look-up comes before both clocks are read: what is answered was true at a moment that the clocks still cover.
    const revoked = isRevoked(slot);
    const now = clock();
    if (!(now >= slot.validFrom)) return refuse('time');
    // The horizon: a clock that ran ahead and back does not revive tokens whose revocations it has swept.
    if (!(now < slot.validUntil) || slot.validUntil <= replica.horizon()) return refuse('expired');
    if (revoked) return refuse('revoked');
    if (freshness.isFresh(now * 1_000)) {
      counts.valid += 1;
      return slot.verified;
    }
    if (!serveStale) return refuse('stale');
    counts.valid += 1;
    counts.servedStale += 1;
    return { ...slot.verified, stale: true };
  }

  return {
    verify(text, start = 0) {
      if (typeof text !== 'string' || text.length - start > maxTokenBytes) return refuse('size');
      const known = cache.find(text, start);
      if (known !== undefined) {
        if (isKeyStillThere(known)) {
          counts.hit += 1;
          return judge(known);
        }
        cache.delete(known.token);
      }
      counts.miss += 1;
      const opened = open(start === 0 ? text : text.slice(start));
      if (typeof opened === 'string') return refuse(opened);
      const judged = judge(opened);
      // What is expired or not yet valid is not worth a place; a revoked token may well come again.
      if (judged.kind === 'valid' || judged.reason === 'revoked' || judged.reason === 'stale') cache.add(opened);
      return judged;
    },
    figures: () => ({ ...counts, cached: cache.size() }),
  };
}

const refusal = (reason: RefusalReason, detail: RefusalDetail): Refused =>
  Object.freeze({ kind: 'refused', reason, detail });

const refusals: Readonly<Record<RefusalDetail, Refused>> = {
  size: refusal('malformed', 'size'),
  form: refusal('malformed', 'form'),
  header: refusal('invalid', 'header'),
  type: refusal('invalid', 'type'),
  key: refusal('invalid', 'key'),
  algorithm: refusal('invalid', 'algorithm'),
  signature: refusal('invalid', 'signature'),
  claims: refusal('invalid', 'claims'),
  issuer: refusal('invalid', 'issuer'),
  audience: refusal('invalid', 'audience'),
  time: refusal('invalid', 'time'),
  expired: refusal('expired', 'expired'),
  revoked: refusal('revoked', 'revoked'),
  stale: refusal('stale', 'stale'),
};

/** Throws `TypeError` for settings under which nothing would be checked. */
function readRules(settings: VerifierSettings): ClaimRules {
  const { issuer, audience, leewaySeconds = 5, maxFutureIatSeconds = 600 } = settings;
  const { maxLifetimeSeconds = 31 * daySeconds } = settings;
  if (typeof issuer !== 'string' || issuer === '') throw new TypeError('a verifier needs its issuer');
  if (typeof audience !== 'string' || audience === '') throw new TypeError('a verifier needs its audience');
  if (!(leewaySeconds >= 0 && leewaySeconds <= leewaySecondsMax)) {
    throw new TypeError(`leewaySeconds is between 0 and ${leewaySecondsMax}`);
  }
  if (!(maxFutureIatSeconds >= 0 && maxLifetimeSeconds > 0)) throw new TypeError('limits of time are not negative');
  return { issuer, audience, leewaySeconds, maxFutureIatSeconds, maxLifetimeSeconds };
}
