/** What an operator does to the signing keys, from the command line and through the API. */
import type { Receipt } from '@auth-service/protocol';
import type { Actor } from '../access/index.ts';
import type { Audit } from '../audit/index.ts';
import type { KeyDescription, SigningKeys } from '../keys/index.ts';
import type { Pending, Revocation } from '../revocation/index.ts';
import type { Outcome } from './users.ts';

export interface KeyAdministration {
  list(): Promise<readonly KeyDescription[]>;
  /** Publishes a successor; it signs after the publishing time, or with `immediately` as soon as other nodes know it. */
  rotate(options: { readonly immediately: boolean }, by: Actor): Promise<Outcome<KeyDescription>>;
  /** Ends a compromised key: every token that it signed is refused at once. */
  revoke(kid: string, by: Actor): Promise<Outcome<Receipt>>;
}

export function createKeyAdministration(deps: {
  readonly keys: SigningKeys;
  readonly audit: Audit;
  readonly revocation: Revocation;
}): KeyAdministration {
  const { keys, audit, revocation } = deps;
  return {
    list: () => keys.list(),

    async rotate(options, by) {
      const outcome = await keys.rotate(options, (tx) =>
        audit.append(tx, by.origin, { type: 'key.rotated', actor: by.actor, target: null, outcome: 'success' }),
      );
      if (outcome.kind === 'rotated') return { kind: 'done', value: outcome.key };
      const { published, freeAt } = outcome;
      const next = freeAt === null ? '' : `, and the next may be from ${freeAt} on`;
      return { kind: 'refused', code: 'conflict', detail: `${published} signing keys are published${next}.` };
    },

    async revoke(kid, by) {
      let pending: Pending | null = null;
      const done = await keys.revoke(kid, async (tx) => {
        pending = await revocation.append(tx, [{ kind: 'key', subject: kid, reason: 'compromised', actor: by.actor }]);
        await audit.append(tx, by.origin, { type: 'key.revoked', actor: by.actor, target: kid, outcome: 'success' });
      });
      if (!done) {
        return { kind: 'refused', code: 'not_found', detail: 'There is no such key, or it was revoked before.' };
      }
      return { kind: 'done', value: await revocation.settle(pending, by.userId ?? by.actor) };
    },
  };
}
