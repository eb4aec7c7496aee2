/**
 * Which devices an account was used on, as far as browser and system tell: its owner is mailed about a login from another one. A
 * hint to people, never a ground for a decision; the first device of an account is nobody's news.
 */
import type { UserRow } from '../accounts/index.ts';
import type { Origin } from '../audit/index.ts';
import type { RootSecret } from '../keys/index.ts';
import type { Mail } from '../mail/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import { deviceName } from '../sessions/index.ts';
import { insertKnownDevice } from './devices.sql.ts';

export interface Devices {
  /** In the transaction that begins a session, which has locked the user's row. */
  note(tx: Queryable, user: Pick<UserRow, 'id' | 'email'>, origin: Origin): Promise<void>;
}

export function createDevices(deps: { readonly root: RootSecret; readonly mail: Pick<Mail, 'enqueue'> }): Devices {
  return {
    async note(tx, user, origin) {
      const device = deps.root.mac('mail', 'device', user.id, deviceName(origin.userAgent) ?? '');
      const { known, others } = await insertKnownDevice(tx, user.id, device);
      if (known || others === 0) return;
      await deps.mail.enqueue(tx, { kind: 'new_device', to: user.email, values: {}, origin });
    },
  };
}
