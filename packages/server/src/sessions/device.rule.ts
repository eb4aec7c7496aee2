/** What a user agent says of the device, for the list of sessions. A guess for people, never a ground for a decision. */
import Bowser from 'bowser';

export interface Device {
  readonly browser: string | null;
  readonly os: string | null;
  readonly type: string | null;
}

export function describeDevice(userAgent: string | null): Device {
  if (userAgent === null || userAgent === '') return { browser: null, os: null, type: null };
  try {
    const parsed = Bowser.parse(userAgent);
    return {
      browser: parsed.browser.name || null,
      os: parsed.os.name || null,
      type: parsed.platform.type || null,
    };
  } catch {
    return { browser: null, os: null, type: null };
  }
}

/** `Firefox on Linux`, or `null`. Letters and digits only, however the user agent spells itself: it is a stranger's text. */
export function deviceName(userAgent: string | null): string | null {
  const { browser, os } = describeDevice(userAgent);
  const names = [browser, os].map((name) => (name ?? '').replaceAll(/[^A-Za-z0-9 ]/g, '').slice(0, 30));
  return names.filter((name) => name !== '').join(' on ') || null;
}
