/**
 * The mails as they are shipped, as text; the HTML part is made from it. Placeholders stand in double braces. Any of them can
 * be replaced from a folder: see `templates.ts`.
 *
 * No mail holds a word that a stranger chose: who registers somebody else's address must not write to them through us.
 */
import type { MailKind } from './kinds.ts';

const cause = 'Time: {{time}}\nFrom: {{where}}';
const askedFor = (what: string): string =>
  `${cause}\n\nIf it was not you, you need not do anything: without this link or code ${what}.`;
const secret = '{{link}}\n\nOr type this code by hand:\n\n{{code}}\n\nIt is good once, for {{valid}}.';
const protect =
  'If it was not you, choose a new password at once ({{url}}): this ends every other session. Then look at your sessions and factors.';
const notice = (subject: string, what: string): string => `Subject: ${subject}\n\n${what}\n\n${cause}\n\n${protect}`;

export const shippedWording: Readonly<Record<Exclude<MailKind, 'nothing'>, string>> = {
  verify_email: `Subject: Confirm your e-mail address

Somebody began an account at {{service}} with the address {{to}}. To confirm that the address is yours and that you want this account, open this page, which asks for the password that you registered with:

${secret}

${cause}

If it was not you, you need not do anything, and give the code to nobody. If you want the account all the same, choose a password of your own on that page: nobody else's is worth anything then.`,

  already_registered: `Subject: You have an account already

Somebody wanted to begin an account at {{service}} with the address {{to}}. It has one already, so nothing was changed.

If it was you and you forgot your password, ask for a new one at {{url}}.

${cause}`,

  reset_password: `Subject: Choose a new password

Somebody asked for a new password for {{to}} at {{service}}. To choose one, open this page:

${secret}

It ends every session of the account.

${askedFor('nobody can change your password')}`,

  invitation: `Subject: Your account at {{service}}

An account at {{service}} was made for {{to}}. To choose its password, open this page:

${secret}`,

  change_email: `Subject: Confirm your new e-mail address

Somebody wants to use {{to}} for their account at {{service}}. To confirm that this is you, open this page:

${secret}

${askedFor('nothing is changed')}`,

  change_email_taken: `Subject: This address has an account already

Somebody wanted to use {{to}} for another account at {{service}}. It has an account already, so nothing was changed, and you need not do anything.

${cause}`,

  email_change_requested: `Subject: Your e-mail address is to be changed

Your account at {{service}} is to have the address {{new_email}} in place of {{to}}. It takes effect when the new address is confirmed; until then nothing is changed.

${cause}

If it was not you, choose a new password at once ({{url}}): this ends the change, and every other session.`,

  email_changed: `Subject: Your e-mail address was changed

The address of your account at {{service}} was changed from {{old_email}} to {{new_email}}. Every other session has ended.

${cause}

If it was not you, tell the people who run {{service}} ({{url}}).`,

  password_changed: notice(
    'Your password was changed',
    'The password of your account at {{service}} was changed. Every other session has ended.',
  ),
  new_device: notice(
    'A login from a new device',
    'Somebody logged in to your account at {{service}} from a device that was not used for it before.',
  ),
  account_locked: `Subject: Your account is locked for a while

There were too many wrong passwords for your account at {{service}}. Nobody can log in to it for {{minutes}} minutes, but on devices where you logged in before.

${cause}

If it was not you, somebody is guessing your password. A long one, and a second factor, keep them out.`,

  refresh_reused: notice(
    'A session of yours was ended',
    'A token of a session of yours at {{service}} was used twice, as happens when it was copied. The session has ended.',
  ),
  mfa_added: notice('A second factor was added', 'Your account at {{service}} has a new second factor: {{method}}.'),
  mfa_removed: notice(
    'A second factor was removed',
    'A second factor of your account at {{service}} was removed: {{method}}.',
  ),
  passkey_added: notice('A passkey was added', 'Your account at {{service}} has a new passkey: {{name}}.'),
  passkey_removed: notice('A passkey was removed', 'A passkey of your account at {{service}} was removed: {{name}}.'),
  recovery_code_used: notice(
    'A recovery code was used',
    'Somebody logged in to your account at {{service}} with a recovery code. So many are left: {{left}}.',
  ),
};

/** What each kind may show beside `service`, `url`, `to`, `time` and `where`. */
export const ownPlaceholders: Readonly<Record<Exclude<MailKind, 'nothing'>, readonly string[]>> = {
  verify_email: ['link', 'code', 'valid'],
  already_registered: [],
  reset_password: ['link', 'code', 'valid'],
  invitation: ['link', 'code', 'valid'],
  change_email: ['link', 'code', 'valid'],
  change_email_taken: [],
  email_change_requested: ['new_email'],
  email_changed: ['old_email', 'new_email'],
  password_changed: [],
  new_device: [],
  account_locked: ['minutes'],
  refresh_reused: [],
  mfa_added: ['method'],
  mfa_removed: ['method'],
  passkey_added: ['name'],
  passkey_removed: ['name'],
  recovery_code_used: ['left'],
};
