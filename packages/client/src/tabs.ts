/**
 * Tabs that see the same storage: one at a time (Web Locks), and word of what changed (BroadcastChannel), where the platform
 * has them. Both are help, not safety: the service answers parallel refreshes of one token with one and the same successor.
 *
 * A page that the browser kept aside and brings back (`pageshow`, persisted) has heard nothing meanwhile: it is told so.
 */

export interface Tabs {
  /** Alone among the tabs, or at once where nobody takes turns or the turn does not come in time. */
  alone<T>(task: () => Promise<T>): Promise<T>;
  tell(message: unknown): void;
  close(): void;
}

interface Locks {
  request<T>(name: string, options: { signal: AbortSignal }, task: () => Promise<T>): Promise<T>;
}

/** A tab that was frozen while it was its turn must not hold up the others for longer, milliseconds. */
const turnMsMax = 10_000;

export const noTabs: Tabs = { alone: (task) => task(), tell: () => {}, close: () => {} };

export function openTabs(name: string, onMessage: (message: unknown) => void, onReturn: () => void): Tabs {
  const page = globalThis as Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>>;
  const onShow = (event: Event): void => {
    if ((event as { readonly persisted?: boolean }).persisted === true) onReturn();
  };
  page.addEventListener?.('pageshow', onShow);
  const locks = (globalThis.navigator as { locks?: Locks } | undefined)?.locks;
  let channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel(name);
  if (channel !== undefined) {
    channel.onmessage = (event) => onMessage((event as { readonly data?: unknown }).data);
    // In Node a channel keeps the process; in browsers there is no such thing.
    (channel as { unref?: () => void }).unref?.();
  }
  return {
    async alone<T>(task: () => Promise<T>): Promise<T> {
      if (locks === undefined) return task();
      let begun: Promise<T> | undefined;
      const begin = (): Promise<T> => {
        begun ??= task();
        return begun;
      };
      try {
        return await locks.request(name, { signal: AbortSignal.timeout(turnMsMax) }, begin);
      } catch {
        // The turn did not come, or locks are forbidden here. What the task itself says is said again.
        return begin();
      }
    },
    tell: (message) => channel?.postMessage(message),
    close() {
      channel?.close();
      // A closed one throws at whoever tells something, and a renewal would fail by that.
      channel = undefined;
      page.removeEventListener?.('pageshow', onShow);
    },
  };
}
