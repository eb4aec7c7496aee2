/**
 * Figures for administrators. To count walks whole tables, so one count serves all who ask within ten seconds, and those who ask
 * while it runs.
 */
import type { Database } from '../platform/database/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { countRoles, countUsersByKind, type UserCounts } from './statistics.sql.ts';

export interface Figures {
  readonly as_of: string;
  readonly users: UserCounts;
  readonly roles: { readonly total: number };
  readonly sessions: { readonly active: number };
  readonly revocations: { readonly live: number };
}

export type Statistics = () => Promise<Figures>;

const servedMs = 10_000;

export function createStatistics(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly countSessions: () => Promise<number>;
  readonly liveRevocations: () => number;
}): Statistics {
  let latest: { readonly atMs: number; readonly figures: Promise<Figures> } | undefined;

  async function count(): Promise<Figures> {
    const as_of = new Date(deps.clock.wallMs()).toISOString();
    const [users, roles, sessions] = await Promise.all([
      countUsersByKind(deps.db),
      countRoles(deps.db),
      deps.countSessions(),
    ]);
    const revocations = { live: deps.liveRevocations() };
    return { as_of, users, roles: { total: roles }, sessions: { active: sessions }, revocations };
  }

  return () => {
    const now = deps.clock.monotonicMs();
    if (latest === undefined || now - latest.atMs >= servedMs) {
      const figures = count();
      const mine = { atMs: now, figures };
      latest = mine;
      // A count that failed serves nobody else.
      figures.catch(() => {
        if (latest === mine) latest = undefined;
      });
    }
    return latest.figures;
  };
}
