/** auth-service users … */

import type { Receipt } from '@auth-service/protocol';
import { toUser } from '../accounts/index.ts';
import { commandLine, type Outcome, type PlacedUser, placeOf } from '../administration/index.ts';
import { type Command, type CommandContext, exitFailed, exitOk, exitUsage, printable, table } from './command.ts';
import { importCommand } from './import.command.ts';

const pageSize = 200;

export const usersCommands: readonly Command[] = [
  importCommand,
  {
    name: 'users create',
    summary: 'Create an account',
    positionals: ['EMAIL'],
    flags: {
      role: { type: 'string', multiple: true, describe: 'A role to grant; may be given several times' },
      'first-name': { type: 'string', describe: 'First name' },
      'last-name': { type: 'string', describe: 'Last name' },
      'password-file': { type: 'string', describe: 'Read the password from this file (- for standard input)' },
      generate: { type: 'boolean', describe: 'Make a password up and print it' },
    },
    examples: [
      'auth-service users create ada@example.org --role admin --generate',
      'printf %s "$PASSWORD" | auth-service users create ada@example.org --password-file -',
    ],
    secret: 'new-password',
    async run({ args, flags, out, rooms, json, secret }) {
      const [email = ''] = args;
      const roles = flags['role'];
      const made = await rooms.users.create(
        {
          email,
          password: secret ?? '',
          firstName: text(flags['first-name']),
          lastName: text(flags['last-name']),
          roles: Array.isArray(roles) ? roles : [],
          emailVerified: true,
        },
        commandLine,
      );
      if (made.kind === 'refused') return refuse(out, made.detail);
      const shown = toUser(made.value);
      const generated = flags['generate'] === true ? { password: secret } : {};
      if (json) out.line(JSON.stringify({ user: shown, ...generated }));
      else {
        out.line(`created ${shown.email} (${shown.id}) with roles ${shown.roles.join(', ')}`);
        if (flags['generate'] === true) out.line(`password: ${secret}`);
      }
      return exitOk;
    },
  },
  {
    name: 'users list',
    summary: 'List accounts',
    positionals: [],
    flags: {
      search: { type: 'string', describe: 'Only addresses and names that begin so; with @ in front, domains' },
      limit: { type: 'string', describe: 'At most so many (100)' },
    },
    examples: ['auth-service users list', 'auth-service users list --search @example.org --json'],
    async run({ flags, out, rooms, json }) {
      const limit = Number(text(flags['limit']) ?? '100');
      if (!Number.isInteger(limit) || limit < 1) return misuse(out, '--limit is a whole number from 1 up');
      const users: PlacedUser[] = [];
      const query = { search: text(flags['search']) ?? undefined, status: undefined, role: undefined };
      while (users.length < limit) {
        const last = users.at(-1);
        const want = Math.min(pageSize, limit - users.length);
        const page = await rooms.users.page(query, last === undefined ? undefined : placeOf(last), want);
        users.push(...page);
        if (page.length < want) break;
      }
      if (json) {
        out.line(JSON.stringify({ users: users.map((user) => ({ ...toUser(user), status: user.status })) }));
        return exitOk;
      }
      const rows = users.map((user) => [user.id, printable(user.email), user.status, user.roles.join(',')]);
      for (const line of table([['ID', 'EMAIL', 'STATUS', 'ROLES'], ...rows])) out.line(line);
      return exitOk;
    },
  },
  {
    name: 'users disable',
    summary: 'Disable an account: its sessions and tokens end at once',
    positionals: ['EMAIL|ID'],
    flags: {},
    examples: ['auth-service users disable ada@example.org'],
    run: async (context) =>
      report(context, 'disabled', await context.rooms.users.disable(context.args[0] ?? '', commandLine)),
  },
  {
    name: 'users enable',
    summary: 'Enable a disabled account; what ended stays ended',
    positionals: ['EMAIL|ID'],
    flags: {},
    examples: ['auth-service users enable ada@example.org'],
    run: async (context) =>
      report(context, 'enabled', without(await context.rooms.users.enable(context.args[0] ?? '', commandLine))),
  },
  {
    name: 'users verify',
    summary: 'Mark the e-mail address of an account as verified',
    positionals: ['EMAIL|ID'],
    flags: {},
    examples: ['auth-service users verify ada@example.org'],
    async run(context) {
      const changes = { emailVerified: true } as const;
      const outcome = await context.rooms.users.update(context.args[0] ?? '', changes, commandLine);
      return report(context, 'verified', without(outcome));
    },
  },
  {
    name: 'users grant',
    summary: 'Grant roles; access tokens issued before end at once, refresh tokens bring the new set',
    positionals: ['EMAIL|ID', 'ROLE'],
    flags: {},
    examples: ['auth-service users grant ada@example.org admin'],
    run: (context) => changeRoles(context, (held, role) => [...held, role]),
  },
  {
    name: 'users ungrant',
    summary: 'Take a role away; access tokens issued before end at once',
    positionals: ['EMAIL|ID', 'ROLE'],
    flags: {},
    examples: ['auth-service users ungrant ada@example.org admin'],
    run: (context) => changeRoles(context, (held, role) => held.filter((one) => one !== role)),
  },
  {
    name: 'users revoke-sessions',
    summary: 'End all sessions and tokens of an account',
    positionals: ['EMAIL|ID'],
    flags: {},
    examples: ['auth-service users revoke-sessions ada@example.org'],
    run: async (context) =>
      report(context, 'sessions revoked', await context.rooms.users.revokeSessions(context.args[0] ?? '', commandLine)),
  },
  {
    name: 'users export',
    summary: 'Print all that is kept about an account, as NDJSON',
    positionals: ['EMAIL|ID'],
    flags: {},
    examples: ['auth-service users export ada@example.org > ada.ndjson'],
    async run({ args, out, rooms }) {
      const user = await rooms.users.find(args[0] ?? '');
      const lines = user === undefined ? undefined : await rooms.exportUser(user.id, commandLine);
      if (lines === undefined) return refuse(out, 'There is no such user.');
      for await (const line of lines) {
        out.line(JSON.stringify(line));
        await out.flush();
      }
      return exitOk;
    },
  },
  {
    name: 'users erase',
    summary: 'Delete an account and all that is kept about it; audit events keep its id, which then names nobody',
    positionals: ['EMAIL|ID'],
    flags: {},
    examples: ['auth-service users erase ada@example.org'],
    run: async (context) =>
      report(context, 'erased', await context.rooms.users.remove(context.args[0] ?? '', commandLine)),
  },
];

async function changeRoles(
  context: CommandContext,
  change: (held: readonly string[], role: string) => readonly string[],
): Promise<number> {
  const [who = '', role = ''] = context.args;
  const user = await context.rooms.users.find(who);
  if (user === undefined) return refuse(context.out, 'There is no such user.');
  const result = await context.rooms.access.setUserRoles(user.id, (held) => change(held, role), commandLine);
  if (result.kind === 'refused') return refuse(context.out, result.detail);
  const receipt = result.pending === null ? null : await context.rooms.revocation.settle(result.pending, user.id);
  if (context.json) context.out.line(JSON.stringify({ roles: result.value.roles, receipt }));
  else {
    context.out.line(`roles of ${printable(user.email)}: ${result.value.roles.join(', ') || 'none'}`);
    if (receipt !== null) context.out.line(describeReceipt(receipt));
  }
  return exitOk;
}

/** What ends nothing has no receipt. */
const without = (outcome: Outcome<unknown>): Outcome<null> =>
  outcome.kind === 'refused' ? outcome : { kind: 'done', value: null };

function report(context: CommandContext, what: string, outcome: Outcome<Receipt | null>): number {
  if (outcome.kind === 'refused') return refuse(context.out, outcome.detail);
  if (context.json) context.out.line(JSON.stringify({ done: what, receipt: outcome.value }));
  else {
    context.out.line(`${printable(context.args[0] ?? '')}: ${what}`);
    if (outcome.value !== null) context.out.line(describeReceipt(outcome.value));
  }
  return exitOk;
}

function describeReceipt(receipt: Receipt): string {
  if (receipt.effective_everywhere) return 'in force on every node';
  const pending = receipt.pending_nodes.length === 0 ? 'unknown nodes' : receipt.pending_nodes.join(', ');
  return `not confirmed yet by ${pending}; in force everywhere by ${receipt.effective_by} at the latest`;
}

const text = (value: CommandContext['flags'][string]): string | null => (typeof value === 'string' ? value : null);

function misuse(out: CommandContext['out'], detail: string): number {
  out.error(detail);
  return exitUsage;
}

function refuse(out: CommandContext['out'], detail: string): number {
  out.error(printable(detail));
  return exitFailed;
}
