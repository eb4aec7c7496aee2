/** The datagrams of gossip, in the hands of strangers. */
import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createSeededRandom } from '../../platform/random/index.ts';
import { createManualClock, type ManualClock } from '../../platform/time/index.ts';
import {
  type Announcement,
  clusterKeyOf,
  datagramBytesMax,
  openAnnouncement,
  readEnvelope,
  sealAnnouncement,
  senderKeyOf,
} from './gossip-datagram.rule.ts';
import { createGossipReceiver, type Heard, opensPerSecondMax, sendersMax, windowMs } from './gossip-receiver.ts';

const random = createSeededRandom('gossip');
const clusterKey = clusterKeyOf('Qm6yVnV7o9s2kPzr1xEw8bTt4uJg3hLd');
const otherKey = clusterKeyOf('hL3dQm6yVnV7o9s2kPzr1xEw8bTt4uJg');
const peer = { host: '10.0.0.2', port: 4370 };

/** A node that announces itself. */
function createVoice(clock: ManualClock, key = clusterKey) {
  const sender = random.bytes(16).toString('hex');
  const senderKey = senderKeyOf(key, sender);
  let counter = 0n;
  return {
    sender,
    say(changes: Partial<Announcement> = {}): Buffer {
      counter += 1n;
      const said = { ...peer, sentAtMs: clock.wallMs(), ...changes };
      return sealAnnouncement(said, { sender, counter }, { senderKey, salt: random.bytes(4) });
    },
  };
}

function open() {
  const clock = createManualClock();
  const receiver = createGossipReceiver({ clusterKey, sender: '00'.repeat(16), clock });
  return { clock, receiver, kinds: (...datagrams: Buffer[]) => datagrams.map((each) => receiver.hear(each).kind) };
}

const isRefusal = (heard: Heard): boolean => heard.kind === 'garbage' || heard.kind === 'refused';

describe('an announcement', () => {
  test('comes out as it went in, whatever the address, and fits in a datagram', () => {
    const said = fc.record({
      host: fc.oneof(
        fc.ipV4(),
        fc.ipV6(),
        fc.domain().filter((name) => name.length <= 253),
      ),
      port: fc.integer({ min: 1, max: 65_535 }),
      sentAtMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    });
    fc.assert(
      fc.property(said, fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), (announcement, counter) => {
        const sender = random.bytes(16).toString('hex');
        const senderKey = senderKeyOf(clusterKey, sender);
        const datagram = sealAnnouncement(announcement, { sender, counter }, { senderKey, salt: random.bytes(4) });
        assert.ok(datagram.length <= datagramBytesMax);
        assert.deepEqual(readEnvelope(datagram), { sender, counter });
        assert.deepEqual(openAnnouncement(datagram, senderKey), { ...announcement });
        assert.ok(!datagram.includes(announcement.host) || announcement.host.length < 4, 'it is sealed');
      }),
    );
  });

  test('CFG-07 that was changed in any one bit is refused', () => {
    const { clock, receiver } = open();
    const datagram = createVoice(clock).say();
    for (let bit = 0; bit < datagram.length * 8; bit++) {
      const changed = Buffer.from(datagram);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      clock.advance(10);
      assert.ok(isRefusal(receiver.hear(changed)), `bit ${bit}`);
    }
    assert.equal(receiver.senders(), 0);
    assert.equal(receiver.hear(datagram).kind, 'peer');
  });

  test('CFG-07 that was cut or made longer is refused', () => {
    const { clock, receiver } = open();
    const datagram = createVoice(clock).say();
    for (let length = 0; length < datagram.length; length++) {
      clock.advance(10);
      assert.ok(isRefusal(receiver.hear(datagram.subarray(0, length))), `${length} bytes`);
    }
    assert.ok(isRefusal(receiver.hear(Buffer.concat([datagram, Buffer.from('x')]))));
  });

  test('of a later version may say more than this one reads', () => {
    const senderKey = senderKeyOf(clusterKey, '01'.repeat(16));
    const [head, nonce] = [Buffer.concat([Buffer.from('ASG1'), Buffer.alloc(16, 1)]), random.bytes(12)];
    const cipher = createCipheriv('aes-256-gcm', senderKey, nonce);
    cipher.setAAD(head);
    // sent at 1, port 4370, a host of one letter, and what nobody knows yet.
    const body = Buffer.from('0000000000011112016178797a', 'hex');
    const sealed = Buffer.concat([cipher.update(body), cipher.final()]);
    const datagram = Buffer.concat([head, nonce, cipher.getAuthTag(), sealed]);
    assert.deepEqual(openAnnouncement(datagram, senderKey), { sentAtMs: 1, port: 4370, host: 'a' });
  });
});

describe('a receiver of gossip', () => {
  test('CFG-07 takes any bytes without throwing, and believes none', () => {
    const { clock, receiver } = open();
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.uint8Array({ minLength: 60, maxLength: 480 }).map((bytes) => Buffer.concat([Buffer.from('ASG1'), bytes])),
    );
    fc.assert(
      fc.property(noise, (bytes) => {
        clock.advance(10);
        assert.ok(isRefusal(receiver.hear(Buffer.from(bytes))));
      }),
      { numRuns: 2_000 },
    );
    assert.equal(receiver.senders(), 0);
  });

  test('takes any announcement of a holder of the secret without throwing, and tells only sound addresses', () => {
    const { clock, receiver } = open();
    const voice = createVoice(clock);
    const said = fc.record({
      host: fc.string({ minLength: 1, maxLength: 60 }),
      port: fc.integer({ min: 0, max: 65_535 }),
    });
    fc.assert(
      fc.property(said, (changes) => {
        clock.advance(10);
        const heard = receiver.hear(voice.say(changes));
        const isSound = changes.port > 0 && /^[A-Za-z0-9._:%-]+$/.test(changes.host);
        assert.equal(heard.kind, isSound ? 'peer' : 'garbage');
      }),
    );
  });

  test('CFG-07 refuses another secret', () => {
    const { clock, kinds } = open();
    assert.deepEqual(kinds(createVoice(clock, otherKey).say()), ['refused']);
  });

  test('CFG-07 takes each announcement once, in any order of senders, and none that is older than the last', () => {
    const { clock, kinds } = open();
    const [a, b] = [createVoice(clock), createVoice(clock)];
    const [a1, a2, b1] = [a.say(), a.say(), b.say()];
    assert.deepEqual(kinds(a1, a1, b1, a2, a1, a2, b1), [
      ...['peer', 'repeated', 'peer', 'peer', 'repeated', 'repeated', 'repeated'],
    ]);
  });

  test('knows who is new, and who is itself', () => {
    const clock = createManualClock();
    const [a, own] = [createVoice(clock), createVoice(clock)];
    const receiver = createGossipReceiver({ clusterKey, sender: own.sender, clock });
    assert.deepEqual(receiver.hear(a.say()), { kind: 'peer', peer, isNew: true });
    assert.deepEqual(receiver.hear(a.say()), { kind: 'peer', peer, isNew: false });
    assert.deepEqual(receiver.hear(own.say()), { kind: 'own' });
  });

  test('CFG-07 ignores what was sent outside of the window, and says by how much', () => {
    const { clock, receiver } = open();
    const voice = createVoice(clock);
    for (const aheadMs of [-windowMs - 1, windowMs + 1, 3_600_000]) {
      const heard = receiver.hear(voice.say({ sentAtMs: clock.wallMs() + aheadMs }));
      assert.deepEqual(heard, { kind: 'untimely', aheadMs });
    }
    for (const aheadMs of [-windowMs, windowMs]) {
      assert.equal(receiver.hear(voice.say({ sentAtMs: clock.wallMs() + aheadMs })).kind, 'peer');
    }
  });

  test('CFG-07 a recorded announcement is not taken again once its sender is forgotten', () => {
    const { clock, receiver } = open();
    const recorded = createVoice(clock).say({ sentAtMs: clock.wallMs() + windowMs });
    assert.equal(receiver.hear(recorded).kind, 'peer');
    for (let second = 0; second < 600; second++) {
      // Others keep coming and going, so that the memory is swept.
      if (second % 10 === 0) receiver.hear(createVoice(clock).say());
      assert.ok(['repeated', 'untimely'].includes(receiver.hear(recorded).kind), `second ${second}`);
      clock.advance(1_000);
    }
  });

  test('remembers a bounded number of senders, turns new ones away when full, and has room again later', () => {
    const { clock, receiver } = open();
    const first = createVoice(clock);
    receiver.hear(first.say());
    for (let count = 1; count < sendersMax; count++) {
      clock.advance(5);
      receiver.hear(createVoice(clock).say());
    }
    assert.equal(receiver.senders(), sendersMax);
    clock.advance(1_000);
    assert.equal(receiver.hear(createVoice(clock).say()).kind, 'dropped');
    assert.equal(receiver.hear(first.say()).kind, 'peer', 'who is known goes on');
    assert.equal(receiver.senders(), sendersMax);
    clock.advance(2 * windowMs + 1);
    assert.equal(receiver.hear(createVoice(clock).say()).kind, 'peer');
    assert.equal(receiver.senders(), 1);
  });

  test('a flood of strangers is dropped beyond a limit, and does not drown who is known', () => {
    const { clock, receiver } = open();
    const known = createVoice(clock);
    receiver.hear(known.say());
    clock.advance(1_000);
    const stranger = createVoice(clock, otherKey);
    const kinds = Array.from({ length: opensPerSecondMax * 2 }, () => receiver.hear(stranger.say()).kind);
    assert.equal(kinds.filter((kind) => kind === 'refused').length, opensPerSecondMax);
    assert.equal(kinds.filter((kind) => kind === 'dropped').length, opensPerSecondMax);
    assert.equal(receiver.hear(known.say()).kind, 'peer');
    clock.advance(1_000);
    assert.equal(receiver.hear(createVoice(clock).say()).kind, 'peer');
  });
});
