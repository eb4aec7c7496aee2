/** The administration from within: rights that nobody exceeds, races of those who change them, answers that are kept, figures. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { coversAll } from '../../packages/protocol/src/index.ts';
import type { Actor } from '../../packages/server/src/access/index.ts';
import { listUsers } from '../../packages/server/src/administration/users-list.ts';
import type { Core } from '../../packages/server/src/core.ts';
import { createOnce } from '../../packages/server/src/idempotency/index.ts';
import {
  type Database,
  one,
  type Queryable,
  type Statement,
  statement,
} from '../../packages/server/src/platform/database/index.ts';
import { systemClock } from '../../packages/server/src/platform/time/index.ts';
import { singletonJobs } from '../../packages/server/src/singletons.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms, origin, register } from './rooms.ts';

const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';
const operator: Actor = { actor: 'test', origin };

async function actorOf(core: Core, id: string): Promise<Actor> {
  const user = await core.users.find(id);
  return { actor: id, userId: id, origin, holds: user?.permissions ?? [] };
}

async function newUser(core: Core, roles: readonly string[] = [], by = operator): Promise<string> {
  const account = { email: `${randomUUID()}@example.org`, roles, emailVerified: true };
  const made = await core.db.transaction((tx) => core.users.createIn(tx, account, by));
  assert.ok(made.kind === 'done', JSON.stringify(made));
  return made.value.id;
}

const permission = fc.constantFrom('*:*', 'a:*', '*:read', 'a:read', 'a:write', 'b:read', 'users:write', 'roles:grant');
const permissions = fc.uniqueArray(permission, { maxLength: 4 });
const roleNames = ['r0', 'r1', 'r2', 'r3'] as const;
const role = fc.constantFrom(...roleNames, 'admin', 'user');
const person = fc.nat({ max: 3 });
const act = fc.oneof(
  fc.record({ kind: fc.constant('grant' as const), whom: person, roles: fc.uniqueArray(role, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant('create' as const), roles: fc.uniqueArray(role, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant('make role' as const), permissions }),
  fc.record({ kind: fc.constant('change role' as const), role, permissions }),
  fc.record({ kind: fc.constant('delete role' as const), role }),
  fc.record({ kind: fc.constantFrom('disable' as const, 'enable' as const, 'delete' as const), whom: person }),
  fc.record({ kind: fc.constantFrom('rename' as const, 'unlock' as const, 'end' as const), whom: person }),
);
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

/** What everybody has: by id, then what roles carry. */
async function rightsOf(core: Core): Promise<Map<string, readonly string[]>> {
  const users = await core.users.page({ search: undefined, status: undefined, role: undefined }, undefined, 500);
  const roles = await core.access.list();
  return new Map([
    ...users.map((user) => [user.id, user.permissions] as const),
    ...roles.map(({ name, permissions: carried }) => [`role ${name}`, carried] as const),
  ]);
}

async function carryOut(core: Core, by: Actor, people: readonly string[], what: Act): Promise<string> {
  const whom = 'whom' in what ? (people[what.whom] ?? '') : '';
  switch (what.kind) {
    case 'grant':
      return (await core.access.setUserRoles(whom, () => what.roles, by)).kind;
    case 'create': {
      const account = { email: `${randomUUID()}@example.org`, roles: what.roles, emailVerified: true };
      return (await core.db.transaction((tx) => core.users.createIn(tx, account, by))).kind;
    }
    case 'make role': {
      const made = { name: `n${randomUUID()}`, description: null, permissions: what.permissions };
      return (await core.access.create(made, by)).kind;
    }
    case 'change role':
      return (await core.access.change(what.role, { permissions: what.permissions }, by)).kind;
    case 'delete role':
      return (await core.access.remove(what.role, by)).kind;
    case 'disable':
      return (await core.users.disable(whom, by)).kind;
    case 'enable':
      return (await core.users.enable(whom, by)).kind;
    case 'delete':
      return (await core.users.remove(whom, by)).kind;
    case 'rename':
      return (await core.users.update(whom, { firstName: 'x' }, by)).kind;
    case 'unlock':
      return (await core.users.unlock(whom, by)).kind;
    case 'end':
      return (await core.users.revokeSessions(whom, by)).kind;
  }
}

forEachStore('administration from within', (makeDatabase, kind) => {
  test('AZ-06 nodes that start at once on an empty store make one first administrator, and all of them start', async () => {
    const db = await makeDatabase();
    const nodes = await Promise.all(Array.from({ length: 4 }, () => openRooms(db, { rootSecret })));
    const email = 'first@example.org';
    const made = await Promise.all(nodes.map(({ core }) => core.users.bootstrap(email, 'a long enough passphrase')));
    assert.deepEqual(
      made.flatMap((one) => (one === null ? [] : [one.kind])),
      ['done'],
    );
    assert.equal((await nodes[0]?.core.users.find(email))?.roles.includes('admin'), true);
    for (const node of nodes) await node.stop();
  });

  test('AZ-05 over random role graphs nobody gains or loses by an actor what the actor does not hold', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret });
    const graph = fc.record({
      roles: fc.tuple(permissions, permissions, permissions, permissions),
      held: fc.array(fc.uniqueArray(fc.constantFrom(...roleNames), { maxLength: 2 }), { minLength: 4, maxLength: 4 }),
      acts: fc.array(act, { minLength: 1, maxLength: 6 }),
    });
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(graph, async ({ roles, held, acts }) => {
        await core.db.execute(`delete from users; delete from roles where not built_in`);
        const admin = await newUser(core, ['admin']);
        for (const [at, carried] of roles.entries()) {
          const made = await core.access.create({ name: `r${at}`, description: null, permissions: carried }, operator);
          assert.equal(made.kind, 'done');
        }
        const people: string[] = [];
        for (const names of held) people.push(await newUser(core, names));
        const everybody = [...people.slice(0, 3), admin];
        const actor = people[3] ?? '';
        for (const what of acts) {
          const by = await actorOf(core, actor);
          const holds = by.holds ?? [];
          const before = await rightsOf(core);
          const outcome = await carryOut(core, by, [...everybody.slice(1), actor], what);
          const label = `${what.kind} ${outcome}`;
          seen.set(label, (seen.get(label) ?? 0) + 1);
          const after = await rightsOf(core);
          for (const id of new Set([...before.keys(), ...after.keys()])) {
            const had = before.get(id) ?? [];
            const has = after.get(id) ?? [];
            const changed = [...had.filter((one) => !has.includes(one)), ...has.filter((one) => !had.includes(one))];
            assert.ok(coversAll(holds, changed), `${label} of ${id}: ${changed.join()} by ${holds.join()}`);
          }
          const whom = 'whom' in what ? [...everybody.slice(1), actor][what.whom] : undefined;
          const target = whom === undefined ? undefined : before.get(whom);
          if (outcome === 'done' && target !== undefined) assert.ok(coversAll(holds, target), label);
          if (!(await rightsOf(core)).has(actor)) break;
        }
        const left = await core.users.page({ search: undefined, status: 'active', role: 'admin' }, undefined, 1);
        assert.equal(left.length, 1, 'the last administrator stays');
      }),
      { numRuns: 150 },
    );
    for (const what of ['grant', 'create', 'make role', 'change role', 'delete role', 'disable', 'delete', 'rename']) {
      for (const outcome of ['done', 'refused'])
        assert.ok(seen.has(`${what} ${outcome}`), `${what} ${outcome} was never seen`);
    }
    await stop();
  });

  test('AZ-05 a token that carries less than its account holds gives no more than the token', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret });
    const admin = await newUser(core, ['admin']);
    const by: Actor = { actor: admin, userId: admin, origin, holds: ['users:write', 'roles:grant'] };
    const other = await newUser(core);
    assert.equal((await core.access.setUserRoles(other, () => ['admin', 'user'], by)).kind, 'refused');
    assert.equal((await core.users.disable(admin, by)).kind, 'refused');
    const wide = { ...by, holds: ['*:*'] };
    assert.equal((await core.access.setUserRoles(other, () => ['admin', 'user'], wide)).kind, 'done');
    await stop();
  });

  test('AZ-10 who lost a right by the time the act is carried out does not act by it', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret });
    const second = await newUser(core, ['admin']);
    await newUser(core, ['admin']);
    const by = await actorOf(core, second);
    for (const loss of [
      () => core.access.setUserRoles(second, () => ['user'], operator),
      () => core.users.disable(second, operator),
      () => core.users.remove(second, operator),
    ]) {
      assert.equal((await loss()).kind, 'done');
      const made = await core.access.create({ name: `n${randomUUID()}`, description: null, permissions: ['*:*'] }, by);
      assert.equal(made.kind === 'refused' && made.code, 'insufficient_permissions');
    }
    await stop();
  });

  test('AZ-10 two administrators who demote each other at once do not both succeed', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret });
    const a = await newUser(core, ['admin']);
    const b = await newUser(core, ['admin']);
    const [byA, byB] = [await actorOf(core, a), await actorOf(core, b)];
    const outcomes = await Promise.all([
      core.access.setUserRoles(b, () => ['user'], byA),
      core.access.setUserRoles(a, () => ['user'], byB),
    ]);
    assert.deepEqual(outcomes.map((outcome) => outcome.kind).toSorted(), ['done', 'refused']);
    await stop();
  });

  test('SES-07 AZ-08 a right over others is no way around the step-up of the own account, for a session or a key', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret });
    const id = await newUser(core, ['admin']);
    await newUser(core, ['admin']);
    await core.db.execute(`update users set mfa_enabled = true where id = '${id}'`);
    const now = Math.floor(Date.now() / 1_000);
    const by = await actorOf(core, id);
    const other = await newUser(core);
    const authentications = [
      [null, 'insufficient_permissions'],
      [{ time: now, acr: 'aal1' }, 'reauthentication_required'],
      [{ time: now - 660, acr: 'aal2' }, 'reauthentication_required'],
    ] as const;
    for (const [authentication, code] of authentications) {
      const weak = { ...by, authentication };
      for (const outcome of [await core.users.resetMfa(id, weak), await core.users.remove(id, weak)])
        assert.equal(outcome.kind === 'refused' && outcome.code, code);
      assert.equal((await core.users.resetMfa(other, weak)).kind, 'done', 'others wait for no step-up of mine');
    }
    const strong = { ...by, authentication: { time: now, acr: 'aal2' } } as const;
    assert.equal((await core.users.resetMfa(id, strong)).kind, 'done');
    assert.equal((await core.users.remove(id, strong)).kind, 'done');
    await stop();
  });

  test('AZ-10 accounts and the roles that they get are made and changed at once, and neither fails for the other', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret });
    await core.access.create({ name: 'r', description: null, permissions: ['a:read'] }, operator);
    const by = await actorOf(core, await newUser(core, ['admin']));
    for (let round = 0; round < 20; round += 1) {
      const changes = { permissions: [`a:p${round}`] };
      await Promise.all([newUser(core, ['r'], by), newUser(core, ['r'], by), core.access.change('r', changes, by)]);
    }
    await stop();
  });

  test('an answer is kept with what it tells of, sealed, for a day, and only so many of one caller', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret });
    const once = createOnce({ db, root: core.root });
    const request = (key: string) => ({ method: 'POST', route: '/x', headers: { 'idempotency-key': key }, body: {} });
    let made = 0;
    const make = async () => ({ status: 201, body: { secret: 'shown-only-once', made: ++made } });
    await assert.rejects(
      once(request('a'), 'me', async () => {
        await make();
        throw new Error('it broke');
      }),
      /it broke/,
    );
    const first = await once(request('a'), 'me', make);
    assert.deepEqual('body' in first && first.body, { secret: 'shown-only-once', made: 2 });
    assert.deepEqual('body' in (await once(request('a'), 'me', make)) && made, 2);
    const rows = await db.run(keptRows, []);
    assert.equal(rows.length, 1);
    assert.ok(!Buffer.from(rows[0]?.answer ?? []).includes('shown-only-once'));
    await once(request('a'), 'another', make);
    assert.equal(made, 3);
    await db.execute(`update idempotency_keys set expires_at = clock_timestamp() - interval '1 second'`);
    await once(request('a'), 'me', make);
    assert.equal(made, 4);
    assert.equal((await db.run(keptRows, [])).length, 1, 'what expired goes with the next');
    await db.execute(`insert into idempotency_keys (actor, route, key, request_hash, answer, expires_at)
      select 'me', 'r', n::text, '', '', now() + interval '1 day' from generate_series(1, 10000) n`);
    const refused = await once(request('b'), 'me', make);
    assert.equal('kind' in refused && refused.code, 'rate_limited');
    assert.equal('kind' in (await once(request('b'), 'another', make)), false);
    await db.execute(`update idempotency_keys set expires_at = clock_timestamp() - interval '1 second'`);
    assert.equal('kind' in (await once(request('b'), 'me', make)), false, 'what has expired counts no more');
    const sweeper = singletonJobs(core).find((job) => job.kind === 'api-key-sweeper');
    const unfenced = { name: 'job', spec: {}, fence: 1, signal: new AbortController().signal };
    for (let run = 0; run < 12; run += 1) await sweeper?.run({ ...unfenced, assertFence: async () => {}, fenced: db });
    assert.equal((await db.run(keptRows, [])).length, 1, 'what has expired goes although nobody creates');
    await stop();
  });

  test('the figures count what is there, once for all who ask within ten seconds', async () => {
    const db = await makeDatabase();
    let nowMs = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + nowMs };
    const { core, stop } = await openRooms(db, { rootSecret, clock });
    const { user } = await register(core);
    await newUser(core);
    await core.users.disable(await newUser(core), operator);
    const figures = await core.statistics();
    assert.deepEqual(figures.users, { total: 3, disabled: 1, email_verified: 2, mfa_enabled: 0, without_password: 2 });
    assert.deepEqual([figures.roles.total, figures.sessions.active], [2, 1]);
    await core.users.remove(user.id, operator);
    assert.equal((await core.statistics()).users.total, 3);
    nowMs += 10_001;
    assert.equal((await core.statistics()).users.total, 2);
    await stop();
  });

  if (kind === 'postgres') {
    test('a page of accounts is read from an index in its order, whatever is looked for', async () => {
      const db = await makeDatabase();
      await db.execute(`insert into users (id, email, email_key, first_name, last_name, roles, status)
        select gen_random_uuid(), 'u' || n || '@d' || n % 50 || '.example', 'u' || n || '@d' || n % 50 || '.example',
               'f' || n % 1000, 'l' || n % 3000, case when n % 5000 = 0 then '{user,rare}' else '{user}' end::text[],
               case when n % 10000 = 0 then 'disabled' else 'active' end
          from generate_series(1, 20000) n; analyze users`);
      for (const [name, plan] of await plansOfLists(db)) {
        assert.doesNotMatch(plan, /Seq Scan on users/, `${name}\n${plan}`);
        assert.match(plan, /Index/, name);
        // What is sorted is little, by the estimate; what is much is read in the order of its index.
        for (const [, rows] of plan.matchAll(/-> +(?:Incremental )?Sort +\(cost=\S+ rows=(\d+)/g)) {
          assert.ok(Number(rows) <= 400, `${name} sorts ${rows}\n${plan}`);
        }
      }
      assert.ok((await one(db, countRows, []))?.rows === 20_000);
    });
  }
});

/** Of every combination of filters, by what was asked. */
async function plansOfLists(db: Database): Promise<readonly (readonly [string, string])[]> {
  const plans: (readonly [string, string])[] = [];
  const after = { rank: 1, place: 'l10', id: randomUUID() };
  for (const search of [undefined, 'u', 'l', 'f', '@d', 'u12', 'l20', '@d1.']) {
    for (const status of [undefined, 'active', 'disabled'] as const) {
      for (const role of [undefined, 'user', 'rare']) {
        for (const place of [undefined, after]) {
          const asked: [Statement<readonly unknown[], unknown>, readonly unknown[]][] = [];
          const recorder: Queryable = {
            async run(what, params) {
              asked.push([what, params]);
              return [];
            },
          };
          await listUsers(recorder, { search, status, role }, place, 51);
          for (const [what, params] of asked) {
            const label = `${what.name} ${[search, status, role, place?.place].join()}`;
            const explain = { name: `explain_${what.name}`, text: `explain ${what.text}` } as Statement<
              readonly unknown[],
              { 'QUERY PLAN': string }
            >;
            const rows = await db.run(explain, params);
            plans.push([label, rows.map((row) => row['QUERY PLAN']).join('\n')]);
          }
        }
      }
    }
  }
  return plans;
}

const keptRows = statement<[], { answer: Uint8Array }>(
  'test_idempotency_kept',
  `select answer from idempotency_keys where route = 'POST /x' and actor = 'me'`,
);
const countRows = statement<[], { rows: number }>('test_users_count', 'select count(*) as rows from users');
