/**
 * The signing keys of the store and what this node knows of them.
 *
 * Life of a key: pending (published, does not sign) → active (the newest whose time has come signs) → retiring (verifies
 * until the last token it may have signed has expired) → gone. `revoked` ends it at once. Every node derives the state from
 * the rows and its monotonic clock, so all agree without a coordinator.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { KeySet, VerificationKey } from '@auth-service/guard';
import type { SigningAlgorithm } from '@auth-service/protocol';
import type { Database, Queryable } from '../platform/database/index.ts';
import { Overloaded } from '../platform/http/index.ts';
import type { Clock } from '../platform/time/index.ts';
import {
  countLiveNodes,
  deleteGoneKeys,
  insertSigningKey,
  listSigningKeys,
  lockSigningKeys,
  type SigningKeyRow,
  updateKeyRevoked,
  updateKeysVersion,
  updateOlderKeysRetirement,
  updateSealedKey,
} from './keys.sql.ts';
import type { RootSecret } from './root-secret.ts';

/** How long verifiers may cache the key set, seconds: `Cache-Control: max-age` of the JWKS answer. */
export const jwksMaxAgeSeconds = 300;
/** A new key is published for two cache lives before it signs. */
const publishLeadMs = 2 * jwksMaxAgeSeconds * 1_000;
/** What other nodes need at most to read a key that signs at once. */
const urgentLeadMs = 3_000;
/** Leeway of verification and room for skewed clocks, seconds. */
const verifyMarginSeconds = 120;

/** By hand. A guard takes no set of more than a thousand, and every verifier fetches them all. */
const publishedMax = 16;

export type KeyState = 'pending' | 'active' | 'retiring' | 'revoked' | 'gone';

export interface KeyDescription {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly state: KeyState;
  readonly created_at: string;
  readonly activates_at: string;
  readonly retires_at: string | null;
}

/** `full`: so many are published that verifiers should not be given another one; `freeAt`: the first of them retires then. */
export type RotateOutcome =
  | { readonly kind: 'rotated'; readonly key: KeyDescription }
  | { readonly kind: 'full'; readonly published: number; readonly freeAt: string | null };

export interface ActiveKey {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly privateKey: KeyObject;
}

export interface Jwks {
  readonly body: string;
  readonly etag: string;
}

export interface SigningKeys {
  /** Makes the first key when there is none; reads them all; seals anew what the previous root secret sealed. */
  load(): Promise<void>;
  /** The key that signs now. Throws `NoSigningKey` while there is none. */
  active(): ActiveKey;
  jwks(): Jwks;
  /** Publishes a successor; it signs after the publishing time, or with `immediately` as soon as other nodes know it. */
  rotate(options: { immediately: boolean }, within?: (tx: Queryable) => Promise<void>): Promise<RotateOutcome>;
  /** Ends a key for good; `within` writes the ledger entry in the same transaction. A successor signs at once. */
  revoke(kid: string, within: (tx: Queryable) => Promise<void>): Promise<boolean>;
  /** Reads them anew: each node does so now and then, for its own picture of them. */
  refresh(): Promise<void>;
  /**
   * Rotates when the schedule says so and forgets what is gone. Idempotent; any node may do it at any time. `within` is called
   * first in each transaction, and a throw of it undoes that.
   */
  maintain(within?: (tx: Queryable) => Promise<void>): Promise<void>;
  list(): Promise<readonly KeyDescription[]>;
}

/** For the seconds between the end of the only key and its successor's beginning on several nodes: tell them to come again. */
export class NoSigningKey extends Overloaded {
  override readonly name = 'NoSigningKey';
}

interface HeldKey extends ActiveKey {
  readonly publicKey: KeyObject;
  readonly publicJwk: Readonly<Record<string, unknown>>;
  /** On the monotonic clock, milliseconds. */
  readonly activeAt: number;
  readonly retiresAt: number;
}

export function createSigningKeys(deps: {
  readonly db: Database;
  readonly root: RootSecret;
  readonly clock: Clock;
  readonly keySet: KeySet;
  readonly algorithm: SigningAlgorithm;
  readonly rotationIntervalSeconds: number;
  /** The longest life of any access token of this store, seconds. */
  readonly tokenTtlMaxSeconds: () => number;
}): SigningKeys {
  const { db, root, clock, keySet } = deps;
  let held: readonly HeldKey[] = [];
  let published: { readonly kids: string; readonly jwks: Jwks } | undefined;
  let readsBegun = 0;
  let readShown = 0;
  const verifySeconds = () => deps.tokenTtlMaxSeconds() + verifyMarginSeconds;
  const leadMs = Math.min(publishLeadMs, (deps.rotationIntervalSeconds * 1_000) / 2);

  const usable = (now: number): readonly HeldKey[] => held.filter((key) => key.retiresAt > now);

  /** Reads that overtake each other: what was asked for later counts, whichever answer is later. */
  async function read(): Promise<readonly SigningKeyRow[]> {
    const before = clock.monotonicMs();
    readsBegun += 1;
    const turn = readsBegun;
    const rows = await listSigningKeys(db);
    const keys: HeldKey[] = [];
    for (const row of rows) {
      if (!isPublished(row)) continue;
      const known = held.find((key) => key.kid === row.kid);
      const material = known ?? (await openRow(row));
      keys.push({
        ...material,
        activeAt: row.active_in_ms <= 0 ? Number.NEGATIVE_INFINITY : before + row.active_in_ms,
        retiresAt: row.retires_in_ms === null ? Number.POSITIVE_INFINITY : before + row.retires_in_ms,
      });
    }
    if (turn < readShown) return rows;
    readShown = turn;
    held = keys;
    keySet.replace(keys.map(({ kid, algorithm, publicKey }): VerificationKey => ({ kid, algorithm, publicKey })));
    return rows;
  }

  async function openRow(row: SigningKeyRow): Promise<Omit<HeldKey, 'activeAt' | 'retiresAt'>> {
    const context = sealContext(row.kid, row.algorithm);
    const opened = root.open('signing-keys', context, row.private_key);
    if (opened === undefined) {
      throw new Error(
        `signing key ${row.kid} cannot be opened with this JWT_SECRET; set JWT_SECRET_PREVIOUS to the secret it was sealed with`,
      );
    }
    if (!opened.current) await updateSealedKey(db, row.kid, root.seal('signing-keys', context, opened.plain));
    const privateKey = createPrivateKey({ key: opened.plain, format: 'der', type: 'pkcs8' });
    return {
      kid: row.kid,
      algorithm: row.algorithm,
      privateKey,
      publicKey: createPublicKey(privateKey),
      publicJwk: row.public_jwk,
    };
  }

  async function insertSuccessor(tx: Queryable, activeInMs: number): Promise<string> {
    const made = generateSigningKey(deps.algorithm);
    const sealed = root.seal('signing-keys', sealContext(made.kid, deps.algorithm), made.pkcs8);
    await insertSigningKey(tx, {
      kid: made.kid,
      algorithm: deps.algorithm,
      publicJwk: made.publicJwk,
      sealed,
      activeInMs,
    });
    await updateOlderKeysRetirement(tx, made.kid, verifySeconds());
    await updateKeysVersion(tx);
    return made.kid;
  }

  async function describe(kid: string): Promise<KeyDescription> {
    const found = (await api.list()).find((key) => key.kid === kid);
    if (found === undefined) throw new Error(`signing key ${kid} is gone`);
    return found;
  }

  const api: SigningKeys = {
    async load() {
      const rows = await read();
      if (rows.some((row) => row.revoked_at === null && row.retires_at === null)) return;
      await db.transaction(async (tx) => {
        await lockSigningKeys(tx);
        const now = await listSigningKeys(tx);
        if (now.some((row) => row.revoked_at === null && row.retires_at === null)) return;
        await insertSuccessor(tx, 0);
      });
      await read();
    },

    active() {
      const now = clock.monotonicMs();
      let newest: HeldKey | undefined;
      // Rows come newest first; the first whose time has come signs.
      for (const key of held) {
        if (key.activeAt <= now && key.retiresAt > now) {
          newest = key;
          break;
        }
      }
      if (newest === undefined) throw new NoSigningKey('no signing key is active');
      return newest;
    },

    jwks() {
      const keys = usable(clock.monotonicMs());
      const kids = keys.map((key) => key.kid).join();
      if (published?.kids !== kids) {
        const body = JSON.stringify({ keys: keys.map((key) => key.publicJwk) });
        const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
        published = { kids, jwks: { body, etag } };
      }
      return published.jwks;
    },

    async rotate(options, within) {
      const made = await db.transaction(async (tx) => {
        await lockSigningKeys(tx);
        const published = (await listSigningKeys(tx)).filter(isPublished);
        if (published.length >= publishedMax) {
          const ends = published.flatMap(({ retires_at: at }) => (at === null ? [] : [at.toISOString()]));
          return { kind: 'full', published: published.length, freeAt: ends.toSorted()[0] ?? null } as const;
        }
        const others = await countLiveNodes(tx);
        const kid = await insertSuccessor(tx, leadFor(options.immediately, others));
        await within?.(tx);
        return { kind: 'made', kid } as const;
      });
      if (made.kind === 'full') return made;
      await read();
      return { kind: 'rotated', key: await describe(made.kid) };
    },

    async revoke(kid, within) {
      const done = await db.transaction(async (tx) => {
        await lockSigningKeys(tx);
        if (!(await updateKeyRevoked(tx, kid))) return false;
        const left = await listSigningKeys(tx);
        if (!left.some((row) => row.revoked_at === null && row.active_in_ms <= 0 && row.retires_at === null)) {
          await insertSuccessor(tx, leadFor(true, await countLiveNodes(tx)));
        }
        await updateKeysVersion(tx);
        await within(tx);
        return true;
      });
      await read();
      return done;
    },

    async refresh() {
      await read();
    },

    async maintain(within) {
      await db.transaction(async (tx) => {
        await within?.(tx);
        await deleteGoneKeys(tx);
      });
      const rows = await read();
      if (!rotationIsDue(rows, deps.rotationIntervalSeconds * 1_000, leadMs)) return;
      await db.transaction(async (tx) => {
        await within?.(tx);
        await lockSigningKeys(tx);
        const now = await listSigningKeys(tx);
        if (rotationIsDue(now, deps.rotationIntervalSeconds * 1_000, leadMs)) await insertSuccessor(tx, leadMs);
      });
      await read();
    },

    async list() {
      const rows = await listSigningKeys(db);
      const active = rows.find((row) => row.revoked_at === null && row.active_in_ms <= 0);
      return rows.map((row) => ({
        kid: row.kid,
        algorithm: row.algorithm,
        state: stateOf(row, active),
        created_at: row.created_at.toISOString(),
        activates_at: row.activates_at.toISOString(),
        retires_at: row.retires_at?.toISOString() ?? null,
      }));
    },
  };

  /** Other nodes read new keys with their next beat; one node alone waits for nobody. */
  function leadFor(immediately: boolean, liveNodes: number): number {
    if (!immediately) return leadMs;
    return liveNodes > 1 ? urgentLeadMs : 0;
  }

  return api;
}

const sealContext = (kid: string, algorithm: string): string => `signing-key/${kid}/${algorithm}`;

const isPublished = (row: SigningKeyRow): boolean =>
  row.revoked_at === null && (row.retires_in_ms === null || row.retires_in_ms > 0);

function stateOf(row: SigningKeyRow, active: SigningKeyRow | undefined): KeyState {
  if (row.revoked_at !== null) return 'revoked';
  if (row.retires_in_ms !== null && row.retires_in_ms <= 0) return 'gone';
  if (row.active_in_ms > 0) return 'pending';
  return row.kid === active?.kid ? 'active' : 'retiring';
}

/** Due when the newest key has signed for an interval less the publishing time. */
function rotationIsDue(rows: readonly SigningKeyRow[], intervalMs: number, leadMs: number): boolean {
  const newest = rows.find((row) => row.revoked_at === null && row.retires_at === null);
  return newest === undefined || newest.active_in_ms <= leadMs - intervalMs;
}

interface GeneratedKey {
  readonly kid: string;
  readonly pkcs8: Buffer;
  readonly publicJwk: Readonly<Record<string, unknown>>;
}

/** The `kid` is the key's JWK thumbprint (RFC 7638), so a key has one name everywhere. */
export function generateSigningKey(algorithm: SigningAlgorithm): GeneratedKey {
  const pair = makePair(algorithm);
  const jwk = pair.publicKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(thumbprintInput(jwk)).digest('base64url');
  return {
    kid,
    pkcs8: pair.privateKey.export({ format: 'der', type: 'pkcs8' }),
    publicJwk: { ...jwk, kid, alg: algorithm, use: 'sig' },
  };
}

function makePair(algorithm: SigningAlgorithm): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (algorithm) {
    case 'EdDSA':
      return generateKeyPairSync('ed25519');
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'RS256':
      return generateKeyPairSync('rsa', { modulusLength: 3072 });
  }
}

/** The required members in lexicographic order, RFC 7638 section 3.2. */
function thumbprintInput(jwk: { [name: string]: unknown }): string {
  const { kty, crv, x, y, e, n } = jwk as Record<'kty' | 'crv' | 'x' | 'y' | 'e' | 'n', unknown>;
  if (kty === 'RSA') return JSON.stringify({ e, kty, n });
  if (kty === 'EC') return JSON.stringify({ crv, kty, x, y });
  return JSON.stringify({ crv, kty, x });
}
