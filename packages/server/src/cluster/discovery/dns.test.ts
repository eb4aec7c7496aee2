/** The strategies `dns` and `kubernetes-dns` against a real name server, and against one that says what it is told to say. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDnsServer, type TestDnsServer, zone } from '../../../../../tests/support/dns-server.ts';
import { systemRandom } from '../../platform/random/index.ts';
import { systemTimers } from '../../platform/time/index.ts';
import type { PeerAddress } from './discovery.ts';
import { createDnsDiscovery, type DnsLook } from './dns.ts';

const headless = `auth.ns.svc.${zone}`;
const resolvConf = `nameserver 10.96.0.10\nsearch ns.svc.${zone} svc.${zone} ${zone}\noptions ndots:5\n`;

let server: TestDnsServer;
before(async () => {
  server = await startDnsServer();
});
after(() => server.stop());

/** What the first look that tells or fails says. */
async function look(changes: Partial<DnsLook>, options: { servers?: readonly string[]; resolvConf?: string } = {}) {
  const told: PeerAddress[] = [];
  const states: string[] = [];
  const discovery = createDnsDiscovery(
    { name: headless, port: 4370, prefersMeshPort: false, ...changes },
    {
      self: () => undefined,
      readFile: async () => {
        if (options.resolvConf === undefined) throw Object.assign(new Error('no'), { code: 'ENOENT' });
        return options.resolvConf;
      },
      servers: options.servers ?? [server.address],
      onFound: (peers) => told.push(...peers),
      onState: (state, reason) => states.push(`${state}: ${reason}`),
      timers: { after: (ms, run) => systemTimers.after(ms === 5_000 ? ms : 600_000, run) },
      random: systemRandom,
    },
  );
  await discovery.start();
  for (let round = 0; round < 1_500 && states.length === 0; round++) await sleep(10);
  await discovery.stop();
  return { told: told.map(({ host, port }) => `${host} ${port}`).toSorted(), states };
}

describe('a name', () => {
  test('with A and AAAA records is all of them, at our own port', async () => {
    await server.setRecords({ hosts: { [headless]: ['10.0.0.1', '10.0.0.2', 'fd00::3'] } });
    assert.deepEqual((await look({})).told, ['10.0.0.1 4370', '10.0.0.2 4370', 'fd00::3 4370']);
  });

  test('that does not exist is a failure, one without records is nobody', async () => {
    await server.setRecords({ services: { [`_x._tcp.${headless}`]: [{ target: headless, port: 1 }] } });
    assert.match((await look({ name: `none.${zone}` })).states.join(), /^failing: .*NXDOMAIN/);
    assert.deepEqual(await look({ name: `_x._tcp.${headless}` }), {
      told: [],
      states: [`working: DNS for _x._tcp.${headless} tells 0 other addresses`],
    });
  });

  test('that begins with _ is its SRV records, with their own ports', async () => {
    const name = `_nodes._tcp.auth.${zone}`;
    await server.setRecords({
      hosts: { [`a.${zone}`]: ['10.0.0.1'], [`b.${zone}`]: ['10.0.0.2', 'fd00::2'] },
      services: {
        [name]: [
          { target: `a.${zone}`, port: 4371 },
          { target: `b.${zone}`, port: 4372 },
          { target: `gone.${zone}`, port: 4373 },
        ],
      },
    });
    assert.deepEqual((await look({ name })).told, ['10.0.0.1 4371', '10.0.0.2 4372', 'fd00::2 4372']);
  });

  test('with more records than fit in a datagram is asked for again by TCP', async () => {
    const addresses = Array.from({ length: 200 }, (_, index) => `10.0.1.${index + 1}`);
    await server.setRecords({ hosts: { [headless]: addresses } });
    assert.equal((await look({})).told.length, 200);
  });
});

describe('a headless service', () => {
  test('with a port called mesh has that port, whatever ours is', async () => {
    await server.setRecords({
      hosts: { [headless]: ['10.0.0.1'], [`10-0-0-1.${headless}`]: ['10.0.0.1'] },
      services: { [`_mesh._tcp.${headless}`]: [{ target: `10-0-0-1.${headless}`, port: 4999 }] },
    });
    assert.deepEqual((await look({ prefersMeshPort: true })).told, ['10.0.0.1 4999']);
    assert.deepEqual((await look({ prefersMeshPort: false })).told, ['10.0.0.1 4370']);
  });

  test('is found by its short names, through the search list of the pod', async () => {
    await server.setRecords({ hosts: { [headless]: ['10.0.0.1'] } });
    for (const name of ['auth', 'auth.ns', 'auth.ns.svc', headless, `${headless}.`]) {
      assert.deepEqual((await look({ name, prefersMeshPort: true }, { resolvConf })).told, ['10.0.0.1 4370'], name);
    }
    assert.match((await look({ name: 'auth' }, {})).states.join(), /^failing/);
  });
});

describe('a name server', () => {
  for (const [title, rcode, reason] of [
    ['that fails', 2, /ESERVFAIL/],
    ['that refuses', 5, /EREFUSED/],
    ['that does not know the question', 4, /ENOTIMP/],
    ['that says that there is no such name', 3, /NXDOMAIN/],
  ] as const) {
    test(`${title} is a failure that says so`, async () => {
      await using answering = await startAnswering((query) => withCode(query, rcode));
      assert.match((await look({}, { servers: [answering.address] })).states.join(), reason);
    });
  }

  test('that fails for AAAA alone is asked for A all the same', async () => {
    await using answering = await startAnswering((query) => {
      const isAAAA = query.readUInt16BE(query.length - 4) === 28 || query.includes(Buffer.from([0, 28, 0, 1]));
      return isAAAA ? withCode(query, 2) : withAddress(query);
    });
    assert.deepEqual((await look({}, { servers: [answering.address] })).told, ['192.0.2.7 4370']);
  });

  for (const [title, answer] of [
    ['garbage', () => Buffer.from('no answer at all, but bytes')],
    ['an answer that is cut off', (query: Buffer) => withAddress(query).subarray(0, 20)],
    ['an answer to another question', (query: Buffer) => otherId(withAddress(query))],
    ['an empty datagram', () => Buffer.alloc(0)],
  ] as const) {
    test(`that answers with ${title} is a failure, within the time of a look`, async () => {
      await using answering = await startAnswering(answer);
      const { told, states } = await look({}, { servers: [answering.address] });
      assert.deepEqual(told, []);
      assert.match(states.join(), /^failing: DNS for .*(did not answer|no answer within)/);
    });
  }

  test('that is down is passed over for the next one', async () => {
    await server.setRecords({ hosts: { [headless]: ['10.0.0.1'] } });
    assert.deepEqual((await look({}, { servers: ['127.0.0.1:9', server.address] })).told, ['10.0.0.1 4370']);
  });
});

/** Answers each query by UDP with what `answer` makes of it. */
async function startAnswering(answer: (query: Buffer) => Buffer) {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => socket.send(answer(query), from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}

/** The question alone, as an answer with this code (RFC 1035 section 4.1.1). */
function withCode(query: Buffer, rcode: number): Buffer {
  const answer = questionOf(query);
  answer.writeUInt16BE(0x8180 | rcode, 2);
  return answer;
}

/** One A record, 192.0.2.7. */
function withAddress(query: Buffer): Buffer {
  const question = questionOf(query);
  question.writeUInt16BE(0x8180, 2);
  question.writeUInt16BE(1, 6);
  return Buffer.concat([question, Buffer.from('c00c000100010000003c0004c0000207', 'hex')]);
}

const otherId = (answer: Buffer): Buffer => {
  answer.writeUInt16BE(answer.readUInt16BE(0) ^ 0xffff, 0);
  return answer;
};

function questionOf(query: Buffer): Buffer {
  const end = query.indexOf(0, 12) + 5;
  const question = Buffer.from(query.subarray(0, end));
  // Without the additional records (EDNS) of the query.
  question.writeUInt16BE(0, 8);
  question.writeUInt16BE(0, 10);
  return question;
}
