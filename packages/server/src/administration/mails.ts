/** What administrators do with mails that were given up. */
import type { Actor } from '../access/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Mail } from '../mail/index.ts';
import type { Database } from '../platform/database/index.ts';

export interface MailAdministration {
  readonly listDead: Mail['listDead'];
  /** False when there is no dead letter of this id. */
  retry(id: string, by: Pick<Actor, 'actor' | 'origin'>): Promise<boolean>;
}

export function createMailAdministration(deps: {
  readonly db: Database;
  readonly audit: Audit;
  readonly mail: Pick<Mail, 'listDead' | 'retry'>;
}): MailAdministration {
  const { db, audit, mail } = deps;
  return {
    listDead: mail.listDead,
    retry: (id, { actor, origin }) =>
      db.transaction(async (tx) => {
        if (!(await mail.retry(id, tx))) return false;
        await audit.append(tx, origin, { type: 'mail.retried', actor, target: id, outcome: 'success' });
        return true;
      }),
  };
}
