/**
 * Judges credentials in a service that is not part of the cluster: by what is held here wherever that suffices, and by asking
 * where it does not: an unknown key name (once in a while), an API key, a route that is `strict`.
 */
import { isFormOfApiKey, looksLikeApiKey } from '../api-keys.ts';
import type { Judge, Judgement } from '../doors/decide.ts';
import { judge as judgeLocally } from '../doors/judge.ts';
import type { FreshnessPolicy } from '../doors/requirement.ts';
import type { Freshness } from '../freshness.ts';
import type { Verifier } from '../verify.ts';
import type { AskService } from './ask-service.ts';
import type { KeySource } from './key-source.ts';

export function createRemoteJudge(deps: {
  /** With `whenStale: 'serve'`: the policy decides, here. */
  readonly verifier: Verifier;
  readonly freshness: Pick<Freshness, 'isFreshWithin'>;
  readonly keySource: Pick<KeySource, 'refreshForUnknown' | 'isLoaded'>;
  readonly service: Pick<AskService, 'ask' | 'remembered'>;
  readonly boundMs: number;
}): Judge {
  const { verifier, freshness, keySource, service, boundMs } = deps;

  function judgeToken(
    text: string,
    start: number,
    policy: FreshnessPolicy,
    mayFetch: boolean,
  ): Judgement | Promise<Judgement> {
    const verified = verifier.verify(text, start);
    if (verified.kind === 'refused' && verified.detail === 'key') {
      const fetched = mayFetch ? keySource.refreshForUnknown() : undefined;
      if (fetched !== undefined) return fetched.then(() => judgeToken(text, start, policy, false));
      // Without any keys nobody can say that this one is unknown.
      if (!keySource.isLoaded()) return undecided;
    }
    // What is refused here is refused; only the service can still say "revoked" of the rest.
    if (policy === 'strict' && verified.kind === 'valid') return service.ask(text.slice(start));
    return judgeLocally(verified, policy, freshness);
  }

  function judgeKey(key: string, policy: FreshnessPolicy): Judgement | Promise<Judgement> {
    if (!isFormOfApiKey(key)) return invalid;
    if (policy === 'strict') return service.ask(key);
    const withinMs = typeof policy === 'object' ? policy.boundedSeconds * 1_000 : boundMs;
    return service.remembered(key, withinMs) ?? service.ask(key);
  }

  return (text, start, policy) =>
    looksLikeApiKey(text, start) ? judgeKey(text.slice(start), policy) : judgeToken(text, start, policy, true);
}

const invalid: Judgement = Object.freeze({ kind: 'refused', reason: 'invalid' });

const undecided: Judgement = Object.freeze({ kind: 'refused', reason: 'stale' });
