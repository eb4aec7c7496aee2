/** An authenticator app: what its owner would read off it at a moment. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { URI } from 'otpauth';

const periodMs = 30_000;

export interface TotpApp {
  /** `steps`: so many steps of 30 s later than `nowMs`. */
  code(nowMs: number, steps?: number): string;
  /** Six digits that are wrong at this moment and around it. */
  wrong(nowMs: number): string;
}

/** Scans the address that a service shows. */
export function scan(uri: string): TotpApp {
  const app = URI.parse(uri);
  assert.ok('period' in app, 'a code by time');
  const code = (nowMs: number, steps = 0): string => app.generate({ timestamp: nowMs + steps * periodMs });
  return {
    code,
    wrong(nowMs) {
      const right = [-2, -1, 0, 1, 2].map((steps) => code(nowMs, steps));
      for (let digits = 0; ; digits += 1) {
        const text = String(digits).padStart(6, '0');
        if (!right.includes(text)) return text;
      }
    },
  };
}

/** On a service that goes by the real clock: so that the step does not change before the code arrives. */
export async function earlyInStep(): Promise<number> {
  const into = Date.now() % periodMs;
  if (into > periodMs - 8_000) await sleep(periodMs - into + 50);
  return Date.now();
}
