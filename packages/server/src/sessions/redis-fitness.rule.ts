/** Whether a Redis may hold sessions: one that evicts keys would log people out without a word. */
import type { RedisFacts } from '../platform/redis/index.ts';

export interface Fitness {
  /** Why not, with the mend; `null` when it may. */
  readonly refusal: string | null;
  readonly warnings: readonly string[];
}

export function judgeRedisForSessions(facts: Pick<RedisFacts, 'maxmemoryPolicy' | 'appendOnly'>): Fitness {
  const { maxmemoryPolicy: policy, appendOnly } = facts;
  const warnings = [
    ...(policy === null
      ? ['Redis does not tell its maxmemory-policy: it must be noeviction, where sessions live in it']
      : []),
    ...(appendOnly === true
      ? []
      : ['Redis keeps no append-only file: when its processes end, sessions are lost (appendonly yes)']),
  ];
  const refusal =
    policy === null || policy === 'noeviction'
      ? null
      : `Redis would evict sessions: its maxmemory-policy is ${policy}; set it to noeviction, or SESSION_STORE=postgres`;
  return { refusal, warnings };
}
