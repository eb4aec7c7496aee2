/** What can be mailed, and what each mail has to be told. Values are text; a mail shows them, and nothing else of its caller's. */
import type { Origin } from '../audit/index.ts';

/** A link and, beside it, the same secret to be typed by hand. */
export interface LinkValues {
  readonly link: string;
  readonly code: string;
  /** How long it is good for, in words: `30 minutes`. */
  readonly valid: string;
}

type Nothing = Readonly<Record<never, string>>;

export interface MailValues {
  /** Sends nothing: for whom there is no mail, so that it is as much work as for whom there is one. */
  nothing: Nothing;
  verify_email: LinkValues;
  /** Somebody registered an address that has an account. */
  already_registered: Nothing;
  reset_password: LinkValues;
  invitation: LinkValues;
  /** To the new address. */
  change_email: LinkValues;
  /** To an address that somebody wanted for another account, and that has one. */
  change_email_taken: Nothing;
  /** To the present address. */
  email_change_requested: { readonly new_email: string };
  /** To both. */
  email_changed: { readonly old_email: string; readonly new_email: string };
  password_changed: Nothing;
  new_device: Nothing;
  account_locked: { readonly minutes: string };
  refresh_reused: Nothing;
  mfa_added: { readonly method: string };
  mfa_removed: { readonly method: string };
  passkey_added: { readonly name: string };
  passkey_removed: { readonly name: string };
  recovery_code_used: { readonly left: string };
}

export type MailKind = keyof MailValues;

/** One mail. `origin`: of the request that caused it; the mail tells time, address and device. */
export type NewMail = {
  readonly [K in MailKind]: {
    readonly kind: K;
    /** The address as the account has it (`users.email`), never as a request spells it. */
    readonly to: string;
    readonly values: MailValues[K];
    readonly origin?: Origin;
    /** After so many seconds it is of no use, and not sent any more; three days where not said. */
    readonly usefulSeconds?: number;
  };
}[MailKind];

/** What is sealed into the row. */
export interface Payload {
  readonly to: string;
  readonly values: Readonly<Record<string, string>>;
  readonly ip: string | null;
  readonly device: string | null;
}
