/** The list of audit events: what the filters take, that pages neither repeat nor miss, and that indexes serve it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditFilters, ListedAuditRow } from '../../packages/server/src/audit/index.ts';
import { declaredStatements } from '../../packages/server/src/platform/database/index.ts';
import { createManualClock } from '../../packages/server/src/platform/time/index.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms, origin } from './rooms.ts';

const event = { type: 'test.event', actor: 'a', target: 'b', outcome: 'success' } as const;
const rows = 50_000;

forEachStore('the list of audit events', (makeDatabase) => {
  test('LOG-04 each filter takes what it names, all together take what all of them name', async () => {
    const clock = createManualClock(Date.UTC(2026, 0, 1));
    const { core, stop } = await openRooms(await makeDatabase(), { clock });
    const made: string[] = [];
    for (const type of ['t1', 't2'])
      for (const actor of ['x', 'y'])
        for (const target of ['x', 'z']) {
          await core.audit.append(core.db, origin, { ...event, type, actor, target, detail: { place: made.length } });
          made.push(`${type}${actor}${target}`);
          clock.advance(1_000);
        }
    const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
    const matches: readonly (readonly [AuditFilters, (name: string, place: number) => boolean])[] = [
      [{}, () => true],
      [{ type: 't1' }, (name) => name.startsWith('t1')],
      [{ actor: 'x' }, (name) => name[2] === 'x'],
      [{ target: 'z' }, (name) => name[3] === 'z'],
      [{ about: 'x' }, (name) => name.slice(2).includes('x')],
      [{ since: at(3) }, (_, place) => place >= 3],
      [{ until: at(3) }, (_, place) => place < 3],
      [{ type: 't2', actor: 'y', target: 'x', since: at(1), until: at(7) }, (name) => name === 't2yx'],
      [{ type: 't2', about: 'z', until: at(6) }, (name, place) => place < 6 && name === 't2xz'],
      [{ actor: 'x', about: 'z' }, (name) => name[2] === 'x' && name[3] === 'z'],
      [{ type: "t1' or true --" }, () => false],
      [{ since: at(4), until: at(4) }, () => false],
    ];
    for (const [filters, match] of matches) {
      const { events, next } = await core.audit.list(filters, { limit: 100 });
      const wanted = made.filter(match).toReversed();
      assert.deepEqual(events.map(nameOf), wanted, JSON.stringify(filters));
      assert.equal(next, null);
    }
    await stop();
  });

  test('DOS-06 pages miss nothing that was there and repeat nothing while events are written', async () => {
    const { core, stop } = await openRooms(await makeDatabase());
    for (let index = 0; index < 23; index += 1)
      await core.audit.append(core.db, origin, { ...event, detail: { index } });
    const seen: ListedAuditRow[] = [];
    let before: string | null = null;
    do {
      const page = await core.audit.list({ actor: 'a' }, { limit: 5, before });
      seen.push(...page.events);
      before = page.next;
      await core.audit.append(core.db, origin, { ...event, detail: { index: -1 } });
    } while (before !== null);
    assert.deepEqual(
      seen.map((one) => one.detail['index']),
      Array.from({ length: 23 }, (_, index) => 22 - index),
    );
    await stop();
  });

  test(`an index serves each list, whatever is asked, among ${rows} events`, async () => {
    const db = await makeDatabase();
    await db.execute(`
      insert into audit_events (id, time, type, actor, target, outcome)
        select gen_random_uuid(), now(), 't' || g % 7, 'a' || g % 1000, 'b' || g % 5000, 'success'
          from generate_series(1, ${rows}) g;
      insert into audit_seals (seq, event_id, prev_hash, hash)
        select row_number() over (), id, '', '' from audit_events;
      analyze audit_events; analyze audit_seals`);
    const lists = declaredStatements().filter(({ name }) =>
      /^audit_list(_by_type|_by_actor|_by_target|_about)?$/.test(name),
    );
    assert.equal(lists.length, 5);
    await db.session(async (session) => {
      await session.execute('set plan_cache_mode = force_generic_plan');
      for (const { name, text } of lists) {
        await session.execute(`prepare listing as ${text}`);
        const lowest = '00000000-0000-0000-0000-000000000000';
        const given = `50, '${lowest}', '${lowest.replaceAll('0', 'f')}', '-infinity', 'infinity', 't1', 'a1', 'b1', 'a1'`;
        const lines = await session.run({ name: '', text: `explain (costs off) execute listing (${given})` }, []);
        const plan = (lines as readonly Record<string, unknown>[]).map((line) => Object.values(line).join()).join('\n');
        assert.doesNotMatch(plan, /Seq Scan on audit_events/, `${name}\n${plan}`);
        assert.match(plan, /Index Scan/, `${name}\n${plan}`);
        await session.execute('deallocate listing');
      }
      await session.execute('reset plan_cache_mode');
    });
  });
});

const nameOf = (row: ListedAuditRow): string => `${row.type}${row.actor}${row.target}`;
