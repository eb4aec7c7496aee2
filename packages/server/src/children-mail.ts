/** The child that sends the mails: its way out by the settings, and when it looks. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Core } from './core.ts';
import {
  createDelivery,
  createFolderSender,
  createSmtpSender,
  createTemplates,
  type Delivery,
  type MailResult,
  noSender,
  type Sender,
} from './mail/index.ts';
import { need, type Parts } from './parts.ts';
import { every } from './periodic.ts';
import type { ChildSpec } from './platform/supervision/index.ts';
import type { Settings } from './settings.ts';

const lookMs = 1_000;
/** The transaction that a mail was written in needs a moment to commit. */
const pokeMs = 30;
const stopPatienceMs = 3_000;

export function mailSpec(parts: Parts): ChildSpec {
  const { settings, late, log, telemetry } = parts;
  return {
    name: 'mail',
    restart: 'permanent',
    stopTimeoutMs: stopPatienceMs + 2_000,
    async start({ failed }) {
      const core: Core = need(late.core, 'the rooms are wired');
      const delivery = createDelivery({
        ...{ db: core.db, root: core.root, clock: core.clock, chance: Math.random },
        sender: senderOf(settings),
        templates: createTemplates({ publicUrl: settings.publicUrl, readFile: readerOf(settings.mail.templates) }),
        onResult(result, { id, kind, attempts, error }) {
          telemetry.mailed(result);
          const fields = { mail: id, kind, attempts, ...(error === undefined ? {} : { reason: error }) };
          if (result === 'dead') log.warn(fields, sentences.dead);
          else if (result === 'sent') log.debug(fields, sentences.sent);
          else log.info(fields, sentences[result]);
        },
      });
      const looking = every(lookMs, () => delivery.work(), failed);
      late.pokeMail = poker(delivery);
      return {
        async stop() {
          delete late.pokeMail;
          await looking.stop();
          await delivery.stop(stopPatienceMs);
        },
      };
    },
  };
}

const sentences: Readonly<Record<MailResult, string>> = {
  sent: 'a mail was sent',
  not_sent: 'a mail was not sent: there is no SMTP_URL',
  postponed: 'a mail could not be sent, and is tried again later',
  dead: 'a mail was given up; it stays as a dead letter',
};

function senderOf({ mail, database }: Settings): Sender {
  const { smtp, from } = mail;
  if (smtp !== undefined) return createSmtpSender(smtp.reveal(), from);
  return database.kind === 'embedded' ? createFolderSender(join(database.dataDir, 'outbox'), from) : noSender;
}

function readerOf(folder: string | undefined): ((name: string) => string | undefined) | undefined {
  if (folder === undefined) return undefined;
  return (name) => {
    try {
      return readFileSync(join(folder, name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new Error(`MAIL_TEMPLATES: ${name} cannot be read`, { cause: error });
    }
  };
}

/** Looks soon, once for all that asked meanwhile; what it misses is found at the next look. */
function poker(delivery: Delivery): () => void {
  let timer: NodeJS.Timeout | undefined;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      delivery.work().catch(() => undefined);
    }, pokeMs);
    timer.unref();
  };
}
