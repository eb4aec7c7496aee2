/**
 * The rooms, wired: what the service runs and what the command line works with. Nothing here has a life of its own
 * (listeners, timers); that is `service.ts`.
 */
import {
  type ApiKeyTable,
  createApiKeyTable,
  createFreshness,
  createKeySet,
  createReplica,
  createSubscriber,
  createVerifier,
  type Freshness,
  type KeySet,
  looksLikeApiKey,
  type Replica,
  type Verifier,
} from '@auth-service/guard';
import { type Access, createAccess } from './access/index.ts';
import { type Administration, createAdministration, createImport, type ImportUsers } from './administration/index.ts';
import {
  type ApiKeys,
  createApiKeys,
  createFollowKeys,
  createServiceAccounts,
  type ServiceAccounts,
} from './api-keys/index.ts';
import { type Audit, createAudit } from './audit/index.ts';
import { cancellableSleep, keysVersionWatch, sessionStore, timed } from './core-parts.ts';
import { createOnce, type Once } from './idempotency/index.ts';
import {
  type Cursors,
  createCursors,
  createRootSecret,
  createSigningKeys,
  type RootSecret,
  type SigningKeys,
  updateTokenTtlMax,
} from './keys/index.ts';
import { createLockout, createProvePassword, type Lockout } from './lockout/index.ts';
import {
  createCompleteLogin,
  createDevices,
  createLogin,
  createPasskeyLogin,
  createReauthenticate,
  createRegister,
  createSecondStep,
  type Login,
  type PasskeyLogin,
  type Reauthenticate,
  type Register,
  type SecondStep,
} from './login/index.ts';
import { createMail, createMailSecrets, type Mail, type MailSecrets } from './mail/index.ts';
import type { Meters } from './meters.ts';
import { counterKeepSeconds, createMfa, type Mfa } from './mfa/index.ts';
import { createCeremonies, createPasskeys, createWebauthnFactor, type Passkeys } from './passkeys/index.ts';
import type { PasswordHasher } from './passwords/index.ts';
import { type Database, type MigrationStatus, migrationStatus } from './platform/database/index.ts';
import type { Random } from './platform/random/index.ts';
import type { Redis } from './platform/redis/index.ts';
import { type Clock, createStoreClock } from './platform/time/index.ts';
import { createExport, createProfile, type ExportUser, type Profile } from './profile/index.ts';
import { createRecovery, type Recovery } from './recovery/index.ts';
import {
  type Barrier,
  type Beat,
  type BeatNode,
  createBarrier,
  createBeat,
  createFeed,
  createRevocation,
  type Feed,
  type LivePeer,
  type Pending,
  type Revocation,
} from './revocation/index.ts';
import { createSessions, deviceName, type Sessions } from './sessions/index.ts';
import type { Settings } from './settings.ts';
import {
  createRefresh,
  createRevokeAll,
  createTokenIssuer,
  createValidate,
  type Refresh,
  type RevokeAll,
  type Validate,
} from './tokens/index.ts';

/** How far a lease outlives the staleness bound: more than any forward step of the database's clock. */
const leaseMarginMs = 2_000;
/** How long a request with a key waits for what has become of its owner. */
const keyKnownMsMax = 1_000;

export interface CoreOptions {
  readonly settings: Settings;
  readonly rootSecret: string;
  readonly db: Database;
  /** Where one is configured. */
  readonly redis?: Redis | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly meters: Meters;
  readonly passwords: Pick<PasswordHasher, 'hash' | 'verify' | 'accepts'>;
  /** `null` for a process that never verifies: it takes no lease, and waits for those that do. */
  readonly node: BeatNode | null;
  readonly hints?: HintWiring;
  /** A mail was written; it is there when its transaction has committed. */
  readonly onMail?: () => void;
  /** This machine's wall clock is wrong by so many milliseconds, by the database's; 0 when it is right again. */
  readonly onClockSkew?: (skewMs: number) => void;
}

/** The fast ways between nodes, as the rooms see them. */
export interface HintWiring {
  /** Tells the other nodes what was committed. */
  readonly publish: (pending: Pending) => void;
  /** Whether the hints of all of these would reach this node now. */
  readonly healthy: (peers: readonly LivePeer[]) => boolean;
  /** After each beat that succeeded. */
  readonly onBeat: () => void;
}

const noHints: HintWiring = { publish: () => undefined, healthy: () => false, onBeat: () => undefined };

export interface Core extends Administration {
  readonly settings: Settings;
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly root: RootSecret;
  readonly cursors: Cursors;
  readonly keySet: KeySet;
  readonly keys: SigningKeys;
  readonly audit: Audit;
  readonly replica: Replica;
  readonly freshness: Freshness;
  readonly verifier: Verifier;
  /** What verifies API keys, beside `verifier` for tokens. */
  readonly apiKeyTable: ApiKeyTable;
  readonly apiKeys: ApiKeys;
  /** For a key whose owner has just changed: resolves with the next reading, after a second at the latest. */
  readonly keyKnown: (credential: string | undefined) => Promise<void> | undefined;
  readonly serviceAccounts: ServiceAccounts;
  readonly beat: Beat | null;
  readonly barrier: Barrier;
  readonly revocation: Revocation;
  readonly feed: Feed;
  readonly sleep: typeof cancellableSleep;
  readonly sessions: Sessions;
  readonly lockout: Lockout;
  readonly mail: Mail;
  readonly mfa: Mfa;
  readonly mailSecrets: MailSecrets;
  readonly refresh: Refresh;
  readonly revokeAll: RevokeAll;
  readonly validate: Validate;
  readonly access: Access;
  readonly importUsers: ImportUsers;
  readonly once: Once;
  readonly login: Login;
  readonly passkeyLogin: PasskeyLogin;
  readonly passkeys: Passkeys;
  readonly secondStep: SecondStep;
  readonly reauthenticate: Reauthenticate;
  readonly profile: Profile;
  readonly exportUser: ExportUser;
  readonly recovery: Recovery;
  readonly register: Register;
  migrations(): Promise<readonly MigrationStatus[]>;
  /** What must be read from the store before anything is answered. */
  load(): Promise<void>;
}

export function createCore(options: CoreOptions): Core {
  const { settings, db, random, meters, passwords, hints = noHints } = options;
  const storeClock = createStoreClock(options.clock, options.onClockSkew);
  const { clock } = storeClock;
  const root = createRootSecret({
    current: options.rootSecret,
    previous: settings.jwtSecretPrevious?.reveal(),
    random,
  });
  const audit = createAudit({ db, clock, random, root });
  const mail = createMail({
    db,
    root,
    clock,
    random,
    describeDevice: deviceName,
    onEnqueued: () => options.onMail?.(),
  });

  let tokenTtlMaxSeconds = settings.accessTtlSeconds;
  const keySet = createKeySet();
  const keys = createSigningKeys({
    db,
    root,
    clock,
    keySet,
    algorithm: settings.jwtAlgorithm,
    rotationIntervalSeconds: settings.keyRotationIntervalSeconds,
    tokenTtlMaxSeconds: () => tokenTtlMaxSeconds,
  });

  const maxStalenessMs = settings.revocationMaxStalenessSeconds * 1_000;
  const held = createReplica({ hashKey: random.bytes(16) });
  // What comes alone is told by this node's users or by a message; what the beat reads comes in many.
  const replica: Replica = {
    ...held,
    apply(entry) {
      const isNew = held.apply(entry);
      if (isNew) feed.heard(entry);
      return isNew;
    },
  };
  // The machine's own wall clock: that it runs on while the machine is suspended is what it is asked for here.
  const freshness = createFreshness({
    monotonicNow: clock.monotonicMs,
    wallNow: options.clock.wallMs,
    maxStalenessMs,
  });
  const cursors = createCursors(root);
  const feed = createFeed({ db, cursors, freshness, sleep: cancellableSleep });
  const inner = createVerifier({
    keys: keySet,
    replica,
    freshness: { isFresh: () => freshness.isFresh() },
    issuer: settings.publicUrl,
    audience: settings.jwtAudience,
    clock: () => clock.wallMs() / 1_000,
    whenStale: settings.revocationWhenStale,
  });
  const apiKeyTable = createApiKeyTable({
    replica,
    freshness,
    clock: () => clock.wallMs() / 1_000,
    whenStale: settings.revocationWhenStale,
  });
  const verifier = timed(inner, clock, meters.validated);

  let beaten = Promise.withResolvers<void>();
  const beat =
    options.node === null
      ? null
      : createBeat({
          db,
          clock,
          node: options.node,
          newSubscriber: () => createSubscriber({ replica, freshness, wallNow: clock.wallMs }),
          writeBack: { held: replica, newReplica: () => createReplica({ hashKey: random.bytes(16) }) },
          maxStalenessMs,
          marginMs: leaseMarginMs,
          random: Math.random,
          hintsHealthy: hints.healthy,
          follow: createFollowKeys({ table: apiKeyTable, replica }),
          onKeysVersion: keysVersionWatch(keys),
          onRead(read) {
            feed.beaten(read);
            beaten.resolve();
            beaten = Promise.withResolvers();
          },
          onStoreTime: storeClock.learn,
          onBeat(outcome, applied) {
            meters.beat(outcome, applied);
            if (outcome === 'ok') hints.onBeat();
          },
          onWrittenBack: meters.writtenBack,
        });
  const barrier = createBarrier({
    db,
    clock,
    ackTimeoutMs: settings.revocationAckTimeoutMs,
    ownIncarnation: options.node?.incarnation ?? null,
    ownCursor: () => beat?.cursor() ?? null,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  });
  const revocation = createRevocation({
    db,
    root,
    clock,
    replica: options.node === null ? null : replica,
    barrier,
    beat,
    // One that serves while stale vouches, past its lease, for the tokens that were issued before.
    get leaseMs() {
      const tokensMs = settings.revocationWhenStale === 'serve' ? tokenTtlMaxSeconds * 1_000 : 0;
      return maxStalenessMs + leaseMarginMs + tokensMs;
    },
    hint: hints.publish,
    observe: meters.revoked,
    onPropagated: meters.propagated,
  });

  const sessions = createSessions({
    db,
    clock,
    random,
    audit,
    revocation,
    mail,
    store: sessionStore(options, replica),
    onStarted: meters.sessionStarted,
    onEnded: meters.sessionEnded,
  });
  const lockout = createLockout({
    db,
    hmacKey: root.key('lockout'),
    maxAttempts: settings.maxLoginAttempts,
    keepSeconds: counterKeepSeconds,
    durationSeconds: settings.lockoutDurationSeconds,
  });
  const issuer = createTokenIssuer({
    keys,
    root,
    clock,
    random,
    issuer: settings.publicUrl,
    audience: settings.jwtAudience,
    accessTtlSeconds: settings.accessTtlSeconds,
    tokensNameUser: sessions.tokensNameUser,
    onIssued: meters.tokensIssued,
  });
  const revokeAll = createRevokeAll({ db, audit, sessions, revocation });
  const access = createAccess({ db, audit, revocation });
  const apiKeys = createApiKeys({ db, clock, random, audit, revocation, sessions });
  const verificationRequired = settings.emailVerification === 'required';
  const passwordMinLength = settings.passwordMinLength;
  const accounts = { db, clock, random, audit, passwords, sessions };
  const secrets = createMailSecrets({ root, random, publicUrl: settings.publicUrl });
  const lockoutMinutes = Math.ceil(settings.lockoutDurationSeconds / 60);
  const locked = { mail, lockout, lockoutMinutes, onLockout: meters.lockedOut };
  const provePassword = createProvePassword({ ...accounts, ...locked });
  const ceremonies = createCeremonies({ ...accounts, publicUrl: settings.publicUrl });
  const devices = createDevices({ root, mail });
  const complete = createCompleteLogin({ ...accounts, root, issuer, devices });
  const mfa = createMfa({
    ...accounts,
    root,
    mail,
    revocation,
    issuer: new URL(settings.publicUrl).host,
    webauthn: createWebauthnFactor({ db, ceremonies }),
    onChecked: meters.secondFactor,
  });
  const steps = { ...accounts, mail, mfa, complete, onLockout: meters.lockedOut };
  const secondStep = createSecondStep(steps);

  const passkeys = createPasskeys({ ...accounts, mail, ceremonies, factors: mfa.factors });

  return {
    settings,
    db,
    clock,
    random,
    root,
    cursors,
    keySet,
    keys,
    audit,
    replica,
    freshness,
    verifier,
    apiKeyTable,
    apiKeys,
    keyKnown(credential) {
      if (credential === undefined || !looksLikeApiKey(credential) || !apiKeyTable.isOutdated(credential))
        return undefined;
      const pause = cancellableSleep(keyKnownMsMax);
      beat?.nudge();
      return Promise.race([beaten.promise, pause.done]).finally(pause.cancel);
    },
    serviceAccounts: createServiceAccounts({ db, clock, random, audit, revocation }),
    beat,
    barrier,
    revocation,
    feed,
    sleep: cancellableSleep,
    sessions,
    lockout,
    mail,
    mfa,
    mailSecrets: secrets,
    access,
    revokeAll,
    refresh: createRefresh({ root, sessions, revocation, issuer, graceSeconds: settings.refreshReuseGraceSeconds }),
    validate: createValidate({
      ...{ verifier, clock, keys: apiKeyTable, issuer: settings.publicUrl, audience: settings.jwtAudience },
      onKeyUsed: apiKeys.used,
    }),
    importUsers: createImport({ db, clock, random, audit }),
    ...createAdministration({
      ...{ ...accounts, passwordMinLength, lockout, revocation, mail, secrets, keys, factors: mfa.factors },
      liveRevocations: () => replica.live(),
    }),
    once: createOnce({ db, root }),
    login: createLogin({
      ...accounts,
      ...{ root, ...locked },
      issuer,
      complete,
      secondStep,
      verificationRequired,
    }),
    passkeyLogin: createPasskeyLogin({ ...accounts, issuer, ceremonies, complete, verificationRequired }),
    passkeys,
    secondStep,
    reauthenticate: createReauthenticate({ ...steps, provePassword, secondStep }),
    register: createRegister({
      ...{ ...accounts, issuer, verificationRequired, passwordMinLength },
      ...{ mail, secrets, devices },
    }),
    exportUser: createExport({ db, audit, sessions, passkeys, apiKeys }),
    profile: createProfile({ ...accounts, mail, passwordMinLength, provePassword, revocation }),
    recovery: createRecovery({
      ...{ ...accounts, mail, secrets, passwordMinLength, provePassword, revocation, apiKeys },
      factors: mfa.factors,
    }),
    migrations: () => migrationStatus(db),
    async load() {
      tokenTtlMaxSeconds = await updateTokenTtlMax(db, settings.accessTtlSeconds);
      await keys.load();
    },
  };
}
