import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import type { RevocationEntry } from '@auth-service/protocol';
import { isVisibleIn } from '../../platform/database/index.ts';
import { createManualClock, type ManualClock } from '../../platform/time/index.ts';
import { createHintBus, type HintBus } from './bus.ts';
import { readMessage, writeMessage, writeNews } from './messages.rule.ts';
import { createSealer } from './seal.ts';
import type { HintTransport } from './transport.ts';

const secret = 'a-cluster-secret-of-the-tests-8d1f2b7c6a';
const entryOf = (subject: string): RevocationEntry => ({
  kind: 'session',
  subject,
  min_epoch: 0,
  expires_at: 2_000_000_000,
});

/** A wire between all that are attached to it; what was said on it is kept. */
function createWire(name: HintTransport['name']) {
  const ends = new Map<string, (from: string, text: string) => void>();
  const said: { from: string; text: string }[] = [];
  return {
    said,
    /** As anybody who can write there. */
    say: (from: string, text: string) => {
      for (const hear of ends.values()) hear(from, text);
    },
    end: (incarnation: string): HintTransport => ({
      name,
      async start(onMessage) {
        ends.set(incarnation, onMessage);
      },
      broadcast(text) {
        said.push({ from: incarnation, text });
        for (const [one, hear] of [...ends]) if (one !== incarnation) hear(incarnation, text);
      },
      sendTo(to, text) {
        said.push({ from: incarnation, text });
        ends.get(to)?.(incarnation, text);
      },
      async stop() {
        ends.delete(incarnation);
      },
    }),
  };
}

interface Node {
  readonly bus: HintBus;
  readonly incarnation: string;
  readonly applied: string[];
  readonly acknowledged: string[];
  readonly counts: Map<string, number>;
  nudges: number;
  cursor: { snapshot: string; storeEpoch: string } | null;
  broken: boolean;
}

function createNode(clock: ManualClock, ownSecret: string | undefined = secret): Node {
  const incarnation = randomUUID();
  const counts = new Map<string, number>();
  const node: Node = {
    bus: createHintBus({
      ...{ incarnation, secret: ownSecret, clock, timers: clock, random: () => 0.5 },
      apply(entry) {
        if (node.broken) throw new TypeError('no entry');
        node.applied.push(entry.subject);
      },
      acknowledged: (from, xid, storeEpoch) => node.acknowledged.push(`${from} ${xid} ${storeEpoch}`),
      nudge: () => {
        node.nudges += 1;
      },
      cursor: () => node.cursor,
      onMessage: (direction, type) => counts.set(`${direction} ${type}`, (counts.get(`${direction} ${type}`) ?? 0) + 1),
    }),
    ...{ incarnation, applied: [], acknowledged: [], counts, nudges: 0, cursor: null, broken: false },
  };
  return node;
}

async function pairOn(...wires: ReturnType<typeof createWire>[]) {
  const clock = createManualClock();
  const [a, b] = [createNode(clock), createNode(clock)];
  for (const wire of wires) {
    await a.bus.attach(wire.end(a.incarnation));
    await b.bus.attach(wire.end(b.incarnation));
  }
  return { clock, a, b };
}

describe('the hint bus', () => {
  test('a hint is applied and acknowledged for its transaction and its history, and the ledger is looked at soon', async () => {
    const { clock, a, b } = await pairOn(createWire('mesh'));
    a.bus.publish({ xid: '7', storeEpoch: 's/1/1', entries: [entryOf('x'), entryOf('y')] });
    assert.deepEqual(b.applied, ['x', 'y']);
    assert.deepEqual(a.acknowledged, [`${b.incarnation} 7 s/1/1`]);
    assert.equal(b.nudges, 0);
    a.bus.publish({ xid: '8', storeEpoch: 's/1/1', entries: [entryOf('z')] });
    clock.advance(50);
    assert.equal(b.nudges, 1, 'many hints, one look');
  });

  test('a hint that cannot be applied is not acknowledged: it is dropped and counted', async () => {
    const { a, b } = await pairOn(createWire('mesh'));
    b.broken = true;
    a.bus.publish({ xid: '7', storeEpoch: 's/1/1', entries: [entryOf('x')] });
    assert.deepEqual(a.acknowledged, []);
    assert.equal(b.counts.get('received dropped'), 1);
  });

  test('a way that throws costs its own message alone', async () => {
    const mesh = createWire('mesh');
    const { a, b } = await pairOn(mesh);
    const broken = (): never => {
      throw new Error('broken');
    };
    await a.bus.attach({ ...createWire('ipc').end(a.incarnation), broadcast: broken, sendTo: broken });
    a.bus.publish({ xid: '7', storeEpoch: 's/1/1', entries: [entryOf('x')] });
    assert.deepEqual(b.applied, ['x']);
    assert.ok((a.counts.get('sent dropped') ?? 0) >= 1);
  });

  test('the same on two ways is acknowledged on both, and one way is enough', async () => {
    const { a, b } = await pairOn(createWire('mesh'), createWire('redis'));
    a.bus.publish({ xid: '7', storeEpoch: 's/1/1', entries: [entryOf('x')] });
    assert.deepEqual(new Set(b.applied), new Set(['x']));
    assert.deepEqual(new Set(a.acknowledged), new Set([`${b.incarnation} 7 s/1/1`]));
  });

  test('what is too large, or nothing but a mark, is looked up: acknowledged once the cursor has passed it', async () => {
    const { a, b } = await pairOn(createWire('mesh'));
    for (const entries of [[], Array.from({ length: 5_000 }, (_, at) => entryOf(`s${at}`))]) {
      const nudges = b.nudges;
      a.acknowledged.length = 0;
      a.bus.publish({ xid: '70', storeEpoch: 's/1/1', entries });
      assert.deepEqual([b.applied.length, b.nudges], [0, nudges + 1]);
      for (const [snapshot, storeEpoch] of [
        ['60:70:', 's/1/1'],
        ['60:80:70', 's/1/1'],
        ['60:80:', 's/2/1'],
      ] as const) {
        b.cursor = { snapshot, storeEpoch };
        b.bus.beaten();
        assert.deepEqual(a.acknowledged, [], `${snapshot} ${storeEpoch}`);
      }
      b.cursor = { snapshot: '60:80:', storeEpoch: 's/1/1' };
      b.bus.beaten();
      b.bus.beaten();
      assert.deepEqual(a.acknowledged, [`${b.incarnation} 70 s/1/1`]);
    }
  });

  test('hints are healthy while the canaries of every peer arrive on some way, and not 2.5 s after the last', async () => {
    const mesh = createWire('mesh');
    const { clock, a, b } = await pairOn(mesh);
    const peers = [{ incarnation: b.incarnation }];
    clock.advance(10_000);
    assert.equal(a.bus.healthy(peers), true);
    assert.deepEqual(a.bus.waysOf(b.incarnation), ['mesh']);
    assert.equal(a.bus.healthy([...peers, { incarnation: randomUUID() }]), false, 'one that is not heard');
    const away = await b.bus.attach(createWire('ipc').end(b.incarnation));
    await away.detach();
    await mesh.end(b.incarnation).stop();
    await mesh.end(a.incarnation).stop();
    clock.advance(2_600);
    assert.equal(a.bus.healthy(peers), false);
    assert.equal(a.bus.healthy([]), true, 'nobody to hear');
  });

  test('a bus whose ways are all detached stops its canaries and says nothing more', async () => {
    const clock = createManualClock();
    const node = createNode(clock);
    const wire = createWire('mesh');
    const way = await node.bus.attach(wire.end(node.incarnation));
    await way.detach();
    const said = wire.said.length;
    node.bus.publish({ xid: '7', storeEpoch: 's/1/1', entries: [entryOf('x')] });
    clock.advance(60_000);
    assert.equal(wire.said.length, said);
    assert.equal(clock.pending(), 0);
  });
});

describe('CFG-09 messages on a way where others can write', () => {
  test('CFG-09 forged, changed, replayed and foreign texts are refused; nothing is applied, acknowledged or believed', async () => {
    const wire = createWire('redis');
    const { clock, a, b } = await pairOn(wire);
    const hint = writeNews({ xid: '7', storeEpoch: 's/1/1' }, [entryOf('x')]);
    const word = writeMessage({ kind: 'acknowledgement', xid: '7', storeEpoch: 's/1/1' });
    const foreign = createSealer({ secret: 'another-cluster-secret-of-the-tests-55', incarnation: randomUUID() });
    a.bus.publish({ xid: '9', storeEpoch: 's/1/1', entries: [entryOf('true')] });
    const captured = wire.said.map(({ text }) => text);
    const honest = b.applied.length;
    const texts = [hint, word, foreign.seal(hint), foreign.seal(word), '', '1.', 'x'.repeat(70_000)];
    const changed = captured.map((text) => `${text.slice(0, -2)}${text.endsWith('A') ? 'B' : 'A'}A`);
    a.acknowledged.length = 0;
    clock.advance(3_000);
    const before = b.counts.get('received refused') ?? 0;
    for (const text of [...texts, ...captured, ...changed]) wire.say(a.incarnation, text);
    assert.equal(b.applied.length, honest);
    assert.deepEqual(a.acknowledged, []);
    assert.ok((b.counts.get('received refused') ?? 0) >= before + texts.length);
  });

  test('CFG-09 what is sealed shows neither subjects nor kinds to those who read along', async () => {
    const wire = createWire('redis');
    const { a } = await pairOn(wire);
    a.bus.publish({ xid: '9', storeEpoch: 's/1/1', entries: [entryOf('0198c0de-subject')] });
    for (const { text } of wire.said) assert.doesNotMatch(text, /0198c0de|hint|canary|session/);
  });

  test('without the secret such a way is not taken into use', async () => {
    const node = createNode(createManualClock(), '');
    const bare = createHintBus({
      ...{ incarnation: node.incarnation, secret: undefined, clock: createManualClock(), timers: createManualClock() },
      ...{ random: () => 0, apply: () => undefined, acknowledged: () => undefined, nudge: () => undefined },
      ...{ cursor: () => null, onMessage: () => undefined },
    });
    await assert.rejects(bare.attach(createWire('redis').end('x')), /secret/);
  });
});

describe('messages', () => {
  test('each is read as it was written', () => {
    const transaction = { xid: '18446744073709551615', storeEpoch: '7/1/2026-01-01' };
    for (const message of [
      { kind: 'canary' },
      { kind: 'look', ...transaction },
      { kind: 'acknowledgement', ...transaction },
      { kind: 'hint', ...transaction, entries: [entryOf('x'), { ...entryOf('y'), kind: 'user', min_epoch: 3 }] },
    ] as const) {
      assert.deepEqual(readMessage(writeMessage(message)), message);
    }
  });

  test('what is not exactly one of them is nothing', () => {
    const row = '["session","x",0,1]';
    for (const text of [
      ...['', '{}', '[]', 'null', '["canary",1]', '["unknown","1","e"]', '["look","0","e"]', '["look",1,"e"]'],
      ...['["look","1",""]', '["look","1","e",1]', '["hint","1","e"]', '["hint","1","e",[]]', '["hint","1","e",{}]'],
      ...[`["hint","-1","e",[${row}]]`, `["hint","1","e",[${row},["session","x",0]]]`],
      ...['["hint","1","e",[["none","x",0,1]]]', '["hint","1","e",[["session","",0,1]]]'],
      ...['["hint","1","e",[["session","x",-1,1]]]', '["hint","1","e",[["session","x",0,1.5]]]'],
      ...['["hint","1","e",[["session","x",0,1e999]]]', '["hint","1","e",[["__proto__","x",0,1]]]'],
      `["hint","1","e",[["session","${'x'.repeat(1_025)}",0,1]]]`,
      `["hint","1","e",[${Array.from({ length: 401 }, () => row).join()}]]`,
      `["look","1","${'e'.repeat(70_000)}"]`,
    ]) {
      assert.equal(readMessage(text), undefined, text.slice(0, 80));
    }
  });

  test('visible in a snapshot is what had ended when it was taken', () => {
    for (const [snapshot, xid, visible] of [
      ['100:100:', '99', true],
      ['100:100:', '100', false],
      ['100:105:101,103', '102', true],
      ['100:105:101,103', '103', false],
      ['100:105:101,103', '105', false],
      ['18446744073709551000:18446744073709551600:', '9', true],
      ['nonsense', '1', false],
    ] as const) {
      assert.equal(isVisibleIn(xid, snapshot), visible, `${xid} in ${snapshot}`);
    }
  });
});
