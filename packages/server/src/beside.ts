/** Commands of the rooms: inside the running service on the embedded store, else in this process on the store itself. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  askControl,
  type CommandOutput,
  createOutput,
  exitFailed,
  type ParsedCommand,
  readSecret,
  runCommand,
} from './cli/index.ts';
import { createCore } from './core.ts';
import { findOrMakeRootSecret } from './keys/index.ts';
import { silentMeters } from './meters.ts';
import { isEmbedded, openStore } from './open-store.ts';
import { createPasswordHasher } from './passwords/index.ts';
import { DatabaseUnavailable, migrate } from './platform/database/index.ts';
import { systemRandom } from './platform/random/index.ts';
import { openRedis, type Redis, RedisUnavailable } from './platform/redis/index.ts';
import { systemClock } from './platform/time/index.ts';
import type { ProgramHost } from './program.ts';
import type { Settings } from './settings.ts';
import { describeStartFailure } from './start-failure.ts';

export const controlPath = (dataDir: string): string => join(dataDir, 'control.sock');

const generatedBytes = 18;

export async function runBeside(host: ProgramHost, settings: Settings, parsed: ParsedCommand): Promise<number> {
  const out = createOutput(host.terminal);
  const onFailure = (error: unknown): string => describeFailure(error, settings);
  let secret: string | null;
  try {
    secret = await secretFor(parsed, host);
  } catch (error) {
    out.error(`the password could not be read: ${error instanceof Error ? error.message : 'unknown'}`);
    return exitFailed;
  }
  const { database } = settings;
  if (database.kind === 'embedded') {
    const code = await askControl(
      controlPath(database.dataDir),
      { words: host.words, secret, cwd: host.workingDirectory },
      out,
    );
    if (code !== undefined) return code;
  }
  const asked = { secret, cwd: host.workingDirectory };
  return runHere(settings, parsed, asked, out, onFailure).finally(() => out.done());
}

async function secretFor(parsed: ParsedCommand, host: ProgramHost): Promise<string | null> {
  if (parsed.command.secret === undefined) return null;
  if (parsed.flags['generate'] === true) return randomBytes(generatedBytes).toString('base64url');
  const file = parsed.flags['password-file'];
  return readSecret(typeof file === 'string' ? file : undefined, host.terminal);
}

async function runHere(
  settings: Settings,
  parsed: ParsedCommand,
  asked: { readonly secret: string | null; readonly cwd: string },
  out: CommandOutput,
  onFailure: (error: unknown) => string,
): Promise<number> {
  let close = async (): Promise<void> => undefined;
  try {
    const db = await openStore(settings);
    close = () => db.close();
    if (settings.migrateOnStart) await migrate(db);
    const passwords = createPasswordHasher({
      algorithm: settings.passwordHash,
      bcryptCost: settings.bcryptCost,
      workers: 1,
    });
    close = async () => {
      await passwords.stop();
      await db.close();
    };
    const redis = await openOwnRedis(settings);
    close = async () => {
      await passwords.stop();
      await redis?.close();
      await db.close();
    };
    const rootSecret =
      settings.jwtSecret?.reveal() ?? (isEmbedded(db) ? findOrMakeRootSecret(settings.dataDir, systemRandom) : '');
    const core = createCore({
      settings,
      rootSecret,
      db,
      redis,
      clock: systemClock,
      random: systemRandom,
      meters: silentMeters,
      passwords,
      node: null,
    });
    await core.load();
    return await runCommand(parsed, asked, core, out, onFailure);
  } catch (error) {
    out.error(onFailure(error));
    return exitFailed;
  } finally {
    await close();
  }
}

/** Only where sessions live in it; the command line counts no requests. One that is away is no reason not to end sessions. */
async function openOwnRedis({ redis, sessionStore, nodeName }: Settings): Promise<Redis | undefined> {
  if (redis === undefined || sessionStore !== 'redis') return undefined;
  return openRedis({
    address: redis.connection.reveal(),
    prefix: redis.prefix,
    connectionName: `auth-service-cli/${nodeName}`,
    clock: systemClock,
    random: systemRandom,
    durableWrites: true,
  });
}

/** For the command line: one line, with the mend where it is known. */
export function describeFailure(error: unknown, settings: Settings): string {
  const known = describeStartFailure(error, settings);
  if (known !== undefined) return known;
  if (error instanceof DatabaseUnavailable) return 'the database is unavailable; try again';
  if (error instanceof RedisUnavailable) return 'Redis is unavailable; try again';
  return `the command failed: ${error instanceof Error ? error.message : 'unknown error'}`;
}
