/** The rooms, wired on a database, without a listener: for races and for what only the inside can see. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Core, createCore } from '../../packages/server/src/core.ts';
import { silentMeters } from '../../packages/server/src/meters.ts';
import { createPasswordHasher } from '../../packages/server/src/passwords/index.ts';
import type { Database } from '../../packages/server/src/platform/database/index.ts';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import { type Clock, systemClock } from '../../packages/server/src/platform/time/index.ts';
import { readSettings } from '../../packages/server/src/this-machine.ts';

export interface RoomsOptions {
  readonly variables?: Readonly<Record<string, string>>;
  readonly rootSecret?: string;
  readonly name?: string;
  readonly clock?: Clock;
}

export interface Rooms {
  readonly core: Core;
  readonly stop: () => Promise<void>;
}

export const origin = { ip: '192.0.2.1', userAgent: 'test', requestId: 'r' };
export const password = 'correct horse battery';

/** With a beat of its own when it has a name, as one node; without one as the command line. */
export async function openRooms(db: Database, options: RoomsOptions = {}): Promise<Rooms> {
  const settings = readSettings({
    NODE_ENV: 'test',
    BCRYPT_COST: '4',
    DATA_DIR: '/nonexistent',
    PUBLIC_URL: 'http://auth.test',
    ...options.variables,
  });
  const passwords = createPasswordHasher({ algorithm: 'bcrypt', bcryptCost: 4, workers: 1, queueLimit: 500 });
  const clock = options.clock ?? systemClock;
  const node = {
    incarnation: randomUUID(),
    name: options.name ?? '',
    address: null,
    version: 'test',
    startedAtMs: clock.wallMs(),
    servesStale: settings.revocationWhenStale === 'serve',
  };
  const core = createCore({
    settings,
    rootSecret: options.rootSecret ?? randomBytes(32).toString('base64'),
    db,
    clock,
    random: systemRandom,
    meters: silentMeters,
    passwords,
    node: options.name === undefined ? null : node,
  });
  await core.load();
  await core.beat?.start(() => undefined);
  return {
    core,
    async stop() {
      await core.beat?.stop();
      await passwords.stop();
    },
  };
}

export async function register(core: Core, email = `${randomUUID()}@example.org`) {
  const outcome = await core.register({ email, password, firstName: null, lastName: null, origin });
  if (outcome.kind !== 'registered') throw new Error(`not registered: ${outcome.kind}`);
  return { email, ...outcome.answer };
}

export async function login(core: Core, email: string) {
  const outcome = await core.login({ email, password, deviceToken: undefined, origin });
  if (outcome.kind !== 'logged_in')
    throw new Error(`not logged in: ${outcome.kind === 'refused' ? outcome.code : outcome.kind}`);
  return outcome.answer;
}
