/** What is kept between calls, and where: in memory unless the caller says otherwise. */

/** Times are milliseconds since 1970 on this machine's clock. */
export interface StoredSession {
  readonly session_id: string;
  /** Missing in cookie mode: scripts never see tokens there. */
  readonly access_token?: string;
  readonly refresh_token?: string;
  readonly expires_at: number;
  readonly obtained_at: number;
}

/** Plain data, for `JSON.stringify`. */
export interface Stored {
  readonly session: StoredSession | null;
  /** Sent with the next login from here: strangers then cannot lock this device out. It outlives a logout. */
  readonly device_token?: string;
}

/** Where the session is kept between calls: in memory, in a storage of the browser, or wherever the caller wants. */
export interface AuthStorage {
  load(): Stored | null | Promise<Stored | null>;
  save(stored: Stored): void | Promise<void>;
  /**
   * Where several tabs or windows may see what is stored: a name of it. Those that have the same name take turns when they
   * refresh and tell each other what changed.
   */
  readonly shared?: string;
}

/** In memory: gone with the page or the process, and out of reach of other scripts. The default. */
export function memoryStorage(): AuthStorage {
  let held: Stored | null = null;
  return {
    load: () => held,
    save: (stored) => {
      held = stored;
    },
  };
}

/** What `webStorage` needs of `localStorage` or `sessionStorage`. */
export interface WebStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/**
 * In `localStorage` (all tabs, until logout) or `sessionStorage` (this tab). Any script of the page can read it: prefer memory,
 * or cookie mode. What cannot be read as ours counts as nothing; what a full or forbidden storage does not take is held in memory.
 */
export function webStorage(storage: WebStorage, key = 'auth-service'): AuthStorage {
  let untaken: Stored | null = null;
  return {
    shared: key,
    load() {
      if (untaken !== null) return untaken;
      try {
        return storedOf(JSON.parse(storage.getItem(key) ?? 'null'));
      } catch {
        return null;
      }
    },
    save(stored) {
      try {
        storage.setItem(key, JSON.stringify(stored));
        untaken = null;
      } catch {
        untaken = stored;
      }
    },
  };
}

function storedOf(value: unknown): Stored | null {
  if (typeof value !== 'object' || value === null) return null;
  const { session, device_token: device } = value as Partial<Stored>;
  return { session: soundSession(session), ...(typeof device === 'string' ? { device_token: device } : {}) };
}

/** `null` for what is no session, whoever wrote it. */
export function soundSession(value: unknown): StoredSession | null {
  const session = (value ?? {}) as Partial<Record<keyof StoredSession, unknown>>;
  const isText = (part: unknown): boolean => part === undefined || typeof part === 'string';
  const sound =
    typeof session.session_id === 'string' &&
    Number.isFinite(session.expires_at) &&
    Number.isFinite(session.obtained_at) &&
    isText(session.access_token) &&
    isText(session.refresh_token);
  return sound ? (value as StoredSession) : null;
}
