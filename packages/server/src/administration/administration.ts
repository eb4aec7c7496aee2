/** The use cases of this room, wired. */
import type { SigningKeys } from '../keys/index.ts';
import type { Mail } from '../mail/index.ts';
import { createKeyAdministration, type KeyAdministration } from './keys.ts';
import { createMailAdministration, type MailAdministration } from './mails.ts';
import { createSessionAdministration, type SessionAdministration } from './sessions.ts';
import { createStatistics, type Statistics } from './statistics.ts';
import { createUsers, type Users, type UsersDeps } from './users.ts';

export interface Administration {
  readonly users: Users;
  readonly keyAdministration: KeyAdministration;
  readonly mailAdministration: MailAdministration;
  readonly sessionAdministration: SessionAdministration;
  readonly statistics: Statistics;
}

export function createAdministration(
  deps: UsersDeps & {
    readonly keys: SigningKeys;
    readonly liveRevocations: () => number;
    readonly mail: Pick<Mail, 'enqueue' | 'listDead' | 'retry'>;
  },
): Administration {
  const { db, clock, audit, sessions, revocation, keys, liveRevocations } = deps;
  return {
    users: createUsers(deps),
    keyAdministration: createKeyAdministration({ keys, audit, revocation }),
    mailAdministration: createMailAdministration(deps),
    sessionAdministration: createSessionAdministration({ db, audit, sessions, revocation }),
    statistics: createStatistics({ db, clock, countSessions: sessions.count, liveRevocations }),
  };
}
