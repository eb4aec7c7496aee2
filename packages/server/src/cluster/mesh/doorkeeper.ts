/**
 * Strangers at the door: how many connections may be on their way to a hello, of one address and of all, and who was refused,
 * told once for each address and not more often than a log can bear.
 */
import type { Clock } from '../../platform/time/index.ts';

export interface Doorkeeper {
  /** `false`: too many are on their way already. Keyed by the connection's own address and port. */
  enters(key: string, address: string): boolean;
  /** It said hello, or went. */
  passed(key: string): void;
  waiting(): number;
  /** Whether this refusal is to be told to the operator. */
  tells(address: string): boolean;
  /** It is welcome after all: the next refusal is news again. */
  welcomed(address: string): void;
}

const waitingMax = 128;
const waitingOfOneMax = 16;
const toldMax = 256;
const toldAgainMs = 600_000;

export function createDoorkeeper(deps: { readonly clock: Clock }): Doorkeeper {
  const waiting = new Map<string, string>();
  const told = new Map<string, number>();

  return {
    enters(key, address) {
      const ofOne = [...waiting.values()].filter((one) => one === address).length;
      if (waiting.size >= waitingMax || ofOne >= waitingOfOneMax) return false;
      waiting.set(key, address);
      return true;
    },
    passed(key) {
      waiting.delete(key);
    },
    waiting: () => waiting.size,
    tells(address) {
      const now = deps.clock.monotonicMs();
      const before = told.get(address);
      if (before !== undefined && now - before < toldAgainMs) return false;
      if (told.size >= toldMax) {
        for (const [one, at] of told) if (now - at >= toldAgainMs) told.delete(one);
        if (told.size >= toldMax) return false;
      }
      told.set(address, now);
      return true;
    },
    welcomed(address) {
      told.delete(address);
    },
  };
}
