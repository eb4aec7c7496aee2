/** auth-service roles …, keys …, audit … */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { commandLine } from '../administration/index.ts';
import { type AnchorRow, readAnchor } from '../audit/index.ts';
import { type Command, exitFailed, exitOk, exitUsage, printable, table } from './command.ts';

export const rolesCommands: readonly Command[] = [
  {
    name: 'roles list',
    summary: 'List roles with their permissions',
    positionals: [],
    flags: {},
    examples: ['auth-service roles list --json'],
    async run({ out, rooms, json }) {
      const roles = await rooms.access.list();
      if (json) out.line(JSON.stringify({ roles }));
      else {
        const rows = roles.map((role) => [
          role.name,
          role.built_in ? 'built in' : '',
          role.permissions.join(','),
          printable(role.description ?? ''),
        ]);
        for (const line of table([['NAME', 'KIND', 'PERMISSIONS', 'DESCRIPTION'], ...rows])) out.line(line);
      }
      return exitOk;
    },
  },
  {
    name: 'roles create',
    summary: 'Create a role',
    positionals: ['NAME'],
    flags: {
      permission: { type: 'string', multiple: true, describe: 'resource:action; may be given several times' },
      description: { type: 'string', describe: 'What the role is for' },
    },
    examples: ['auth-service roles create editor --permission articles:write --permission articles:read'],
    async run({ args, flags, out, rooms, json }) {
      const given = flags['permission'];
      const description = flags['description'];
      const result = await rooms.access.create(
        {
          name: args[0] ?? '',
          description: typeof description === 'string' ? description : null,
          permissions: Array.isArray(given) ? given : [],
        },
        commandLine,
      );
      if (result.kind === 'refused') return refuse(out, result.detail);
      out.line(json ? JSON.stringify({ role: result.value }) : `created the role ${result.value.name}`);
      return exitOk;
    },
  },
  {
    name: 'roles delete',
    summary: 'Delete a role; its holders lose it at once',
    positionals: ['NAME'],
    flags: {},
    examples: ['auth-service roles delete editor'],
    async run({ args, out, rooms, json }) {
      const result = await rooms.access.remove(args[0] ?? '', commandLine);
      if (result.kind === 'refused') return refuse(out, result.detail);
      const receipt = await rooms.revocation.settle(result.pending, 'cli');
      if (json) out.line(JSON.stringify({ ...result.value, receipt }));
      else out.line(`deleted the role ${printable(args[0] ?? '')}; ${result.value.holders} accounts had it`);
      return exitOk;
    },
  },
];

export const keysCommands: readonly Command[] = [
  {
    name: 'keys list',
    summary: 'List signing keys and their states',
    positionals: [],
    flags: {},
    examples: ['auth-service keys list'],
    async run({ out, rooms, json }) {
      const keys = await rooms.keyAdministration.list();
      if (json) out.line(JSON.stringify({ keys }));
      else {
        const rows = keys.map((key) => [key.kid, key.algorithm, key.state, key.activates_at, key.retires_at ?? '']);
        for (const line of table([['KID', 'ALGORITHM', 'STATE', 'ACTIVE FROM', 'VERIFIES UNTIL'], ...rows]))
          out.line(line);
      }
      return exitOk;
    },
  },
  {
    name: 'keys rotate',
    summary: 'Publish a new signing key; it signs once verifiers have had time to fetch it',
    positionals: [],
    flags: { now: { type: 'boolean', describe: 'Sign with it at once (verifiers that cache the key set may lag)' } },
    examples: ['auth-service keys rotate', 'auth-service keys rotate --now'],
    async run({ flags, out, rooms, json }) {
      const outcome = await rooms.keyAdministration.rotate({ immediately: flags['now'] === true }, commandLine);
      if (outcome.kind === 'refused') return refuse(out, outcome.detail);
      const made = outcome.value;
      out.line(
        json ? JSON.stringify({ key: made }) : `key ${made.kid} is ${made.state}, signs from ${made.activates_at}`,
      );
      return exitOk;
    },
  },
  {
    name: 'keys revoke',
    summary: 'End a compromised key: every token that it signed is refused at once',
    positionals: ['KID'],
    flags: {},
    examples: ['auth-service keys revoke kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'],
    async run({ args, out, rooms, json }) {
      const [kid = ''] = args;
      const outcome = await rooms.keyAdministration.revoke(kid, commandLine);
      if (outcome.kind === 'refused') return refuse(out, `${outcome.detail} See: auth-service keys list`);
      const receipt = outcome.value;
      if (json) out.line(JSON.stringify({ kid, receipt }));
      else
        out.line(
          `revoked key ${kid}; ${receipt.effective_everywhere ? 'in force on every node' : `in force by ${receipt.effective_by}`}`,
        );
      return exitOk;
    },
  },
];

/** What `auth-service migrate --status` asks of a running service that has the embedded store. */
export const migrationCommands: readonly Command[] = [
  {
    name: 'migrations list',
    summary: 'List the migrations of the schema, and since when each is applied',
    positionals: [],
    flags: {},
    examples: ['auth-service migrations list --json'],
    async run({ out, rooms, json }) {
      const rows = (await rooms.migrations()).map(({ name, appliedAt }) => ({
        name,
        applied_at: appliedAt?.toISOString() ?? null,
      }));
      const pending = rows.filter((row) => row.applied_at === null).length;
      if (json) out.line(JSON.stringify({ migrations: rows, pending }));
      else for (const row of rows) out.line(`${row.applied_at ?? 'pending'.padEnd(24)}  ${row.name}`);
      return exitOk;
    },
  },
];

export const auditCommands: readonly Command[] = [
  {
    name: 'audit verify',
    summary: 'Walk the hash chain of the audit log and name the first broken row',
    positionals: [],
    flags: {
      anchors: {
        type: 'string',
        describe: 'A file of anchors that were kept elsewhere: lines of the log, or of audit anchor',
      },
    },
    examples: ['auth-service audit verify', 'auth-service audit verify --anchors anchors.ndjson'],
    async run({ out, rooms, json, flags, cwd }) {
      const file = flags['anchors'];
      const kept = typeof file === 'string' ? anchorsOf(resolve(cwd, file)) : [];
      if (typeof file === 'string' && kept.length === 0) return misuse(out, `there is no anchor in ${printable(file)}`);
      const result = await rooms.audit.verify((done, total) => out.progress('verifying', done, total), kept);
      if (json) out.line(JSON.stringify(result));
      else if (result.valid) out.line(`the audit log is whole: ${result.checked} events checked`);
      else {
        const broken = result.first_invalid;
        const where = broken?.seq === null ? `event ${broken.id}` : `row ${broken?.seq} (event ${broken?.id})`;
        out.error(`the audit log is broken at ${where}: ${broken?.reason}; ${result.checked} rows before it hold`);
      }
      return result.valid ? exitOk : exitFailed;
    },
  },
  {
    name: 'audit anchor',
    summary: 'Print the end of the audit log with its MAC, to be kept where nobody who can write the database can',
    positionals: [],
    flags: {},
    examples: ['auth-service audit anchor >> anchors.ndjson'],
    async run({ out, rooms }) {
      const head = await rooms.audit.head();
      if (head === undefined) return refuse(out, 'There is no audit event yet.');
      out.line(JSON.stringify(head));
      return exitOk;
    },
  },
  {
    name: 'audit export',
    summary: 'Print audit events as NDJSON, oldest first, with their links of the chain',
    positionals: [],
    flags: {
      type: { type: 'string', describe: 'Only events of this type' },
      about: { type: 'string', describe: 'Only events whose actor or target this is' },
      since: { type: 'string', describe: 'Only from this time on (RFC 3339)' },
      until: { type: 'string', describe: 'Only before this time' },
    },
    examples: ['auth-service audit export --since 2026-01-01T00:00:00Z > audit.ndjson'],
    async run({ flags, out, rooms }) {
      const text = (flag: string): string | undefined => (typeof flags[flag] === 'string' ? flags[flag] : undefined);
      const time = (flag: string): Date | undefined =>
        text(flag) === undefined ? undefined : new Date(text(flag) ?? '');
      const filters = { type: text('type'), about: text('about'), since: time('since'), until: time('until') };
      for (const flag of ['since', 'until'] as const)
        if (Number.isNaN(filters[flag]?.getTime())) return misuse(out, `--${flag} is a time of RFC 3339`);
      for await (const event of rooms.audit.export(filters)) {
        out.line(JSON.stringify(event));
        await out.flush();
      }
      return exitOk;
    },
  },
  {
    name: 'audit list',
    summary: 'The latest audit events, newest first',
    positionals: [],
    flags: {
      limit: { type: 'string', describe: 'At most so many (50)' },
      type: { type: 'string', describe: 'Only events of this type' },
      about: { type: 'string', describe: 'Only events whose actor or target this is' },
    },
    examples: ['auth-service audit list --type authn_login --limit 20'],
    async run({ flags, out, rooms, json }) {
      const limit = Number(flags['limit'] ?? '50');
      if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
        return misuse(out, '--limit is a whole number from 1 to 1000');
      const text = (flag: string): string | undefined => (typeof flags[flag] === 'string' ? flags[flag] : undefined);
      const { events } = await rooms.audit.list({ type: text('type'), about: text('about') }, { limit });
      if (json) out.line(JSON.stringify({ events }));
      else {
        const rows = events.map((event) => [
          event.time.toISOString(),
          event.type,
          event.outcome,
          event.actor ?? '',
          event.target ?? '',
          printable(event.ip ?? ''),
        ]);
        for (const line of table([['TIME', 'TYPE', 'OUTCOME', 'ACTOR', 'TARGET', 'IP'], ...rows])) out.line(line);
      }
      return exitOk;
    },
  },
];

function anchorsOf(path: string): readonly AnchorRow[] {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  return lines.map(readAnchor).filter((anchor) => anchor !== undefined);
}

function misuse(out: { error(text: string): void }, detail: string): number {
  out.error(detail);
  return exitUsage;
}

function refuse(out: { error(text: string): void }, detail: string): number {
  out.error(printable(detail));
  return exitFailed;
}
