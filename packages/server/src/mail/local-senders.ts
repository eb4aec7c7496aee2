/** The ways out without a mail server: a folder beside the embedded store, for whoever tries the service; or a line in the log. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { composed, type Mailbox, type Sender } from './sender.ts';

/** `TIME-ID.eml`, whole or not at all, for the owner of the folder alone. */
export function createFolderSender(folder: string, from: Mailbox): Sender {
  return {
    async send(message) {
      const { createTransport } = await import('nodemailer');
      const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows' });
      const { message: bytes } = await transport.sendMail(composed(message, from));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const name = `${new Date(message.dateMs).toISOString().replaceAll(/[:.]/g, '-')}-${message.id}.eml`;
      const draft = join(folder, `.${name}.tmp`);
      await writeFile(draft, bytes as Buffer, { mode: 0o600, flush: true });
      await rename(draft, join(folder, name));
      return { kind: 'sent' };
    },
    close: () => undefined,
  };
}

/** For a store that others reach and no mail server: a file on one of many machines would be found by nobody. */
export const noSender: Sender = { send: async () => ({ kind: 'not_sent' }), close: () => undefined };
