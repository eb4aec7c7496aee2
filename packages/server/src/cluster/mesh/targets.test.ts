import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTargets } from './targets.ts';

const ownIncarnation = '00000000-0000-4000-8000-000000000000';
const peer = (number: number) => ({ host: `10.0.${number >> 8}.${number & 255}`, port: 4370 });

function open() {
  const linked = new Set<string>();
  const targets = createTargets({
    ownIncarnation,
    random: () => 0.5,
    isLinked: (incarnation) => linked.has(incarnation),
  });
  return { linked, targets, hosts: () => targets.all().map(({ host }) => host) };
}

describe('addresses to try', () => {
  test('pods that came and went under new addresses are not tried for ever', () => {
    const { targets, hosts } = open();
    for (let minute = 0; minute < 600; minute++) {
      targets.found([peer(minute)], minute * 60_000);
      targets.leases([], minute * 60_000);
      assert.ok(hosts().length <= 11, `minute ${minute}: ${hosts().length}`);
    }
  });

  test('one that is linked stays, told or not, and one that a lease tells stays too', () => {
    const { targets, linked, hosts } = open();
    targets.found([peer(1), peer(2)], 0);
    const [first] = targets.all();
    assert.ok(first !== undefined);
    targets.reached(first, 'a');
    linked.add('a');
    targets.leases([{ ...peer(3), incarnation: 'b' }], 3_600_000);
    assert.deepEqual(hosts(), [peer(1).host, peer(3).host]);
  });

  test('a look that fails for minutes forgets nobody', () => {
    const { targets, hosts } = open();
    targets.found([peer(1)], 0);
    targets.leases([], 300_000);
    assert.deepEqual(hosts(), [peer(1).host]);
  });

  test('each failure doubles the pause, up to half a minute and its jitter; an answer begins anew', () => {
    const { targets } = open();
    targets.found([peer(1)], 0);
    const [target] = targets.due(0);
    assert.ok(target !== undefined);
    const pauses = Array.from({ length: 9 }, () => {
      targets.failed(target, 0);
      return target.nextAt;
    });
    assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    targets.reached(target, 'a');
    targets.failed(target, 0);
    assert.equal(target.nextAt, 250);
  });
});
