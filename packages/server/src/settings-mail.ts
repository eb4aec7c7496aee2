/** The variables of mail: what each may be, what they may be together, and what they mean. */
import {
  createSecret,
  inGroup,
  parseUrl,
  type Secret,
  type SettingProblem,
  secretUrl,
  text,
  type ValuesOf,
} from './platform/config/index.ts';

export interface SmtpSettings {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly tls: 'required' | 'opportunistic' | 'none';
  readonly auth: { readonly user: string; readonly pass: string } | undefined;
}

export interface MailSettings {
  /** `undefined`: files beside the embedded store, else a line in the log. */
  readonly smtp: Secret<SmtpSettings> | undefined;
  readonly from: { readonly name: string; readonly address: string };
  /** A folder with wording of the operator's own. */
  readonly templates: string | undefined;
}

const protocols = ['smtp', 'smtps'];
/** A name without what headers and lists are made of, and one mailbox. */
const sender = /^(?:([^\p{C}<>"\\,;:@]{1,100}?) *<)?([A-Za-z0-9#$&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253})(>?)$/u;

export const mailTable = inGroup('Mail', {
  SMTP_URL: secretUrl({
    protocols,
    about:
      'Mail server: `smtp[s]://[user:password@]host[:port]`; `smtps` is TLS from the first byte, `smtp` upgrades by STARTTLS. `?tls=required` (checked certificate; the default but on this machine), `?tls=opportunistic` or `?tls=none`. Without it mails are written to `DATA_DIR/outbox/*.eml` on the embedded store, and logged as not sent otherwise.',
  }),
  MAIL_FROM: text({
    default: undefined,
    shownDefault: '`no-reply@` the host of `PUBLIC_URL`',
    values: 'address',
    pattern: [sender, 'set an address, or `Name <address>`'],
    about: 'Sender of the mails: an address, or `Name <address>`.',
  }),
  MAIL_TEMPLATES: text({
    default: undefined,
    values: 'path',
    about: 'Folder with mails of your own wording; see docs/operations/mail.md.',
  }),
});

type Values = ValuesOf<typeof mailTable> & {
  readonly EMAIL_VERIFICATION: 'off' | 'required';
};

interface Around {
  readonly isEmbedded: boolean;
}

export function mailOf(values: Values, publicUrl: string): MailSettings {
  const [, name = '', address = `no-reply@${hostOf(publicUrl)}`] = sender.exec(values.MAIL_FROM ?? '') ?? [];
  const smtp = values.SMTP_URL === undefined ? undefined : smtpOf(values.SMTP_URL.reveal());
  return {
    smtp: smtp === undefined ? undefined : createSecret(smtp),
    from: { name, address },
    templates: values.MAIL_TEMPLATES,
  };
}

/** A sender at an address literal is refused by most; the name of this machine serves for trying. */
function hostOf(publicUrl: string): string {
  const { hostname } = new URL(publicUrl);
  return /^[a-z0-9.-]*[a-z][a-z0-9.-]*$/i.test(hostname) ? hostname : 'localhost';
}

const tlsModes = ['required', 'opportunistic', 'none'] as const;

function smtpOf(address: string): SmtpSettings | undefined {
  const parsed = parseUrl(address, protocols);
  if (parsed === undefined) return undefined;
  const secure = parsed.protocol === 'smtps:';
  const host = decodeURIComponent(parsed.hostname).replace(/^\[(.*)\]$/, '$1');
  const isNear = host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
  const user = decodeURIComponent(parsed.username);
  return {
    host,
    port: Number(parsed.port || (secure ? 465 : 587)),
    secure,
    tls: tlsModes.find((mode) => mode === parsed.searchParams.get('tls')) ?? (isNear ? 'opportunistic' : 'required'),
    auth: user === '' ? undefined : { user, pass: decodeURIComponent(parsed.password) },
  };
}

export function mailProblems(values: Values): readonly SettingProblem[] {
  const problems: SettingProblem[] = [];
  const problem = (variable: string, text: string, mend: string): number =>
    problems.push({ variable, problem: text, mend });
  const parsed = values.SMTP_URL === undefined ? undefined : parseUrl(values.SMTP_URL.reveal(), protocols);
  if (parsed !== undefined) {
    const tls = parsed.searchParams.get('tls');
    const others = [...parsed.searchParams.keys()].filter((name) => name !== 'tls');
    if (parsed.hostname === '') problem('SMTP_URL', 'names no host', 'set smtp://host');
    if (!canDecode(parsed.username + parsed.password)) {
      problem('SMTP_URL', 'has broken percent signs in its credentials', 'write % as %25');
    }
    if (others.length > 0) problem('SMTP_URL', 'has parameters that are not known', 'take all but ?tls= off');
    if (tls !== null && !tlsModes.some((mode) => mode === tls)) {
      problem('SMTP_URL', 'has a tls= that is not known', 'set required, opportunistic or none');
    }
    if (parsed.protocol === 'smtps:' && (tls === 'none' || tls === 'opportunistic')) {
      problem('SMTP_URL', `is smtps with tls=${tls}, which contradict each other`, 'set smtp://, or take tls= off');
    }
    if (parsed.username !== '' && tls === 'none') {
      problem('SMTP_URL', 'has credentials and tls=none', 'take tls=none off, or the credentials');
    }
    if (parsed.username === '' && parsed.password !== '') {
      problem('SMTP_URL', 'has a password without a user', 'set both or neither');
    }
  }
  const from = sender.exec(values.MAIL_FROM ?? '');
  if (from !== null && (from[1] === undefined) !== (from[3] === '')) {
    problem('MAIL_FROM', 'has one angle bracket', 'set an address, or `Name <address>`');
  }
  return problems;
}

function canDecode(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

export function mailWarnings(values: Values, { isEmbedded }: Around): readonly SettingProblem[] {
  const warnings: SettingProblem[] = [];
  if (values.EMAIL_VERIFICATION === 'required' && values.SMTP_URL === undefined) {
    const found = isEmbedded
      ? 'is required, and mails are files in DATA_DIR/outbox without SMTP_URL'
      : 'is required, and no mail is sent without SMTP_URL';
    const mend = 'set SMTP_URL, confirm addresses with `auth-service users verify ADDRESS`, or set off';
    warnings.push({ variable: 'EMAIL_VERIFICATION', problem: found, mend });
  }
  if (values.SMTP_URL !== undefined && values.MAIL_FROM === undefined) {
    warnings.push({
      variable: 'MAIL_FROM',
      problem: 'is not set, and no-reply@ the host of PUBLIC_URL sends',
      mend: 'set it',
    });
  }
  return warnings;
}
