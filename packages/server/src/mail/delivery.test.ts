/** Mails on their way, to a real mail server: once, again after a failure, given up in the end, by any number of nodes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { until } from '../../../../tests/support/service.ts';
import { startSmtp, type TestSmtp } from '../../../../tests/support/smtp.ts';
import { forEachStore } from '../../../../tests/support/stores.ts';
import { createRootSecret } from '../keys/index.ts';
import { type Database, statement } from '../platform/database/index.ts';
import { systemRandom } from '../platform/random/index.ts';
import { systemClock } from '../platform/time/index.ts';
import { attemptsMax, retryInSeconds } from './backoff.rule.ts';
import { createDelivery, type Delivery, type DeliveryDeps } from './delivery.ts';
import { createMail } from './mail.ts';
import { createSmtpSender } from './smtp-sender.ts';
import { createTemplates } from './templates.ts';

const makeDue = statement<[], never>('test_mail_outbox_make_due', `update mail_outbox set due_at = '-infinity'`);
const expireAll = statement<[], never>('test_mail_outbox_expire', `update mail_outbox set expires_at = '-infinity'`);
const findStates = statement<
  [],
  { kind: string; attempts: number; dead: boolean; last_error: string | null; ahead: boolean }
>(
  'test_mail_outbox_states',
  `select kind, attempts, dead_at is not null as dead, last_error, due_at > clock_timestamp() as ahead from mail_outbox order by id`,
);

forEachStore('delivery', (makeDatabase) => {
  const running: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of running.splice(0).reverse()) await stop();
  });
  const current = randomBytes(32).toString('base64');
  const root = createRootSecret({ current, previous: undefined, random: systemRandom });
  const from = { name: 'AuthService', address: 'no-reply@auth.test' };

  async function open(): Promise<{
    db: Database;
    smtp: TestSmtp;
    results: string[];
    node: NodeMaker;
    mail: ReturnType<typeof createMail>;
  }> {
    const db = await makeDatabase();
    const smtp = await startSmtp();
    running.push(() => smtp.stop());
    const results: string[] = [];
    const node: NodeMaker = (more = {}) => {
      const options = { host: '127.0.0.1', port: smtp.port, secure: false, tls: 'none', auth: undefined } as const;
      const delivery = createDelivery({
        ...{ db, root, clock: systemClock, chance: () => 0.5 },
        sender: createSmtpSender(options, from),
        templates: createTemplates({ publicUrl: 'https://auth.test' }),
        onResult: (result) => results.push(result),
        ...more,
      });
      running.push(() => delivery.stop(0));
      return delivery;
    };
    const mail = createMail({
      ...{ db, root, clock: systemClock, random: systemRandom },
      describeDevice: () => 'Firefox on Linux',
      onEnqueued: () => undefined,
    });
    return { db, smtp, results, node, mail };
  }
  type NodeMaker = (more?: Partial<DeliveryDeps>) => Delivery;

  const changed = (to = 'ada@example.org') => ({ kind: 'password_changed', to, values: {} }) as const;
  const settled = (results: readonly string[], count: number) =>
    until(`${count} results`, async () => results.length >= count);

  test('a mail is sent once, by its envelope, in two parts, and its row goes', async () => {
    const { db, smtp, results, node, mail } = await open();
    const origin = { ip: '192.0.2.1', userAgent: 'x', requestId: null };
    await mail.enqueue(db, { ...changed(), origin });
    const delivery = node();
    await delivery.work();
    await settled(results, 1);
    await delivery.work();
    assert.deepEqual(results, ['sent']);
    assert.deepEqual(await mail.count(), { waiting: 0, dead: 0 });
    const [received] = smtp.received;
    assert.equal(smtp.received.length, 1);
    assert.deepEqual([received?.from, received?.to], ['no-reply@auth.test', ['ada@example.org']]);
    assert.equal(received?.subject, 'Your password was changed');
    for (const part of [received?.text ?? '', received?.html ?? '']) {
      assert.match(part, /Firefox on Linux, 192\.0\.2\.1/);
      assert.ok(!part.includes('{{'), part);
    }
    assert.equal(received?.headers.get('auto-submitted'), 'auto-generated');
    assert.match(received?.headers.get('message-id') ?? '', /^<[0-9a-f-]{36}@auth\.test>$/);
    assert.ok(received?.headers.has('date'));
  });

  test('a mail for nobody is never sent, and its row goes as well', async () => {
    const { db, smtp, node, mail } = await open();
    await mail.enqueue(db, { kind: 'nothing', to: 'ada@example.org', values: {} });
    const delivery = node();
    await delivery.work();
    await until('an empty outbox', async () => (await mail.count()).waiting === 0);
    assert.equal(smtp.connections(), 0);
  });

  test('after a refusal for now it is tried again, later, and then sent once', async () => {
    const { db, smtp, results, node, mail } = await open();
    await mail.enqueue(db, changed());
    const delivery = node();
    for (const at of ['rcpt', 'data'] as const) {
      smtp.answer({ code: 451, at });
      await db.run(makeDue, []);
      await delivery.work();
      await settled(results, at === 'rcpt' ? 1 : 2);
    }
    const [state] = await db.run(findStates, []);
    assert.deepEqual([state?.attempts, state?.dead, state?.ahead], [2, false, true]);
    assert.match(state?.last_error ?? '', /^E[A-Z]+ 451$/);
    await delivery.work();
    assert.equal(smtp.attempts(), 2, 'not before its time');
    smtp.answer('take');
    await db.run(makeDue, []);
    await delivery.work();
    await settled(results, 3);
    assert.deepEqual(results, ['postponed', 'postponed', 'sent']);
    assert.equal(smtp.received.length, 1);
  });

  test('a server that hangs holds up one mail and not for ever', async () => {
    const { db, smtp, results, node, mail } = await open();
    smtp.answer('hang');
    await mail.enqueue(db, changed());
    const delivery = node({ sendMsMax: 400 });
    await delivery.work();
    await until('the hanging try', async () => smtp.attempts() === 1);
    smtp.answer('take');
    await mail.enqueue(db, changed('grace@example.org'));
    await delivery.work();
    await settled(results, 2);
    assert.deepEqual(results.toSorted(), ['postponed', 'sent']);
    assert.deepEqual(
      smtp.received.map(({ to }) => to[0]),
      ['grace@example.org'],
    );
    const [state] = await db.run(findStates, []);
    assert.equal(state?.last_error, 'took too long');
  });

  test('what cannot even be made is tried as often as what cannot be sent, and given up in the end', async () => {
    const { db, smtp, results, node, mail } = await open();
    await mail.enqueue(db, changed());
    await mail.enqueue(db, changed('grace@example.org'));
    const sound = createTemplates({ publicUrl: 'https://auth.test' });
    const delivery = node({
      templates: {
        ...sound,
        render: (kind, payload, at) => {
          if (payload.to.startsWith('ada')) throw new TypeError('a value of ada@example.org is missing');
          return sound.render(kind, payload, at);
        },
      },
    });
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      await db.run(makeDue, []);
      await delivery.work();
      await settled(results, attempt + 1);
    }
    assert.deepEqual([...new Set(results)].toSorted(), ['dead', 'postponed', 'sent']);
    assert.equal(results.filter((one) => one === 'dead').length, 1);
    const [state] = await db.run(findStates, []);
    assert.deepEqual(
      [state?.attempts, state?.dead, state?.last_error],
      [attemptsMax, true, 'not to be made: TypeError'],
      'and names nobody',
    );
    assert.equal(smtp.received.length, 1);
  });

  test('what is refused for good is a dead letter at once, and can be tried again by hand', async () => {
    const { db, smtp, results, node, mail } = await open();
    smtp.answer({ code: 550, at: 'rcpt' });
    await mail.enqueue(db, changed());
    const delivery = node();
    await delivery.work();
    await settled(results, 1);
    const [dead] = await mail.listDead({ beforeId: null, limit: 10 });
    assert.deepEqual([dead?.kind, dead?.attempts], ['password_changed', 1]);
    assert.ok(!JSON.stringify(dead).includes('ada@'), 'a dead letter names nobody');
    smtp.answer('take');
    assert.equal(await mail.retry(dead?.id ?? ''), true);
    await delivery.work();
    await settled(results, 2);
    assert.deepEqual(results, ['dead', 'sent']);
    assert.equal(await mail.retry(dead?.id ?? ''), false);
  });

  test('after ten tries, or when it is of no use any more, it is given up', async () => {
    const { db, smtp, results, node, mail } = await open();
    smtp.answer({ code: 421, at: 'data' });
    await mail.enqueue(db, changed());
    const delivery = node();
    for (let attempt = 1; attempt <= attemptsMax + 2; attempt += 1) {
      await db.run(makeDue, []);
      await delivery.work();
      await settled(results, Math.min(attempt, attemptsMax));
    }
    assert.equal(results.filter((result) => result === 'postponed').length, attemptsMax - 1);
    assert.equal(results.at(-1), 'dead');
    assert.equal(smtp.attempts(), attemptsMax);
    await mail.enqueue(db, changed());
    await db.run(expireAll, []);
    await delivery.work();
    await settled(results, attemptsMax + 1);
    assert.equal(smtp.attempts(), attemptsMax, 'no try for what is of no use');
    assert.deepEqual(await mail.count(), { waiting: 0, dead: 2 });
  });

  test('two nodes send sixty mails once each, over kept connections', async () => {
    const { db, smtp, results, node, mail } = await open();
    for (let n = 0; n < 60; n += 1) await mail.enqueue(db, changed(`user${n}@example.org`));
    const nodes = [node(), node()];
    await until('sixty mails', async () => {
      await Promise.all(nodes.map((one) => one.work()));
      return results.length >= 60;
    });
    assert.equal(new Set(smtp.received.map(({ to }) => to[0])).size, 60);
    assert.equal(smtp.received.length, 60);
    assert.ok(smtp.connections() <= 10, `${smtp.connections()} connections`);
  });

  test('what a node had taken when it died is sent by another after its lease', async () => {
    const { db, smtp, results, node, mail } = await open();
    smtp.answer('hang');
    await mail.enqueue(db, changed());
    const dying = node({ leaseSeconds: 0.3, onResult: () => assert.fail('it is dead') });
    await dying.work();
    await until('the try of the one that dies', async () => smtp.attempts() === 1);
    smtp.answer('take');
    const other = node();
    await until('the other node', async () => {
      await other.work();
      return results.length > 0;
    });
    assert.equal(smtp.received.length, 1);
    // What the first says now counts for nothing: the row is another's, and gone.
    assert.deepEqual(await mail.count(), { waiting: 0, dead: 0 });
    running.splice(running.length - 2, 1);
  });

  test('a node that stops ends what hangs, and the mail is not lost', async () => {
    const { db, smtp, results, node, mail } = await open();
    smtp.answer('hang');
    await mail.enqueue(db, changed());
    const delivery = node();
    await delivery.work();
    await until('the hanging try', async () => smtp.attempts() === 1);
    await delivery.stop(50);
    assert.deepEqual(results, ['postponed']);
    assert.deepEqual(await mail.count(), { waiting: 1, dead: 0 });
  });

  test('a row that was sealed for another row, or under another secret, is not opened', async () => {
    const { db, smtp, results, node, mail } = await open();
    await mail.enqueue(db, changed());
    const other = createRootSecret({ current: 'x'.repeat(40), previous: undefined, random: systemRandom });
    const delivery = node({ root: other });
    await delivery.work();
    await settled(results, 1);
    const [state] = await db.run(findStates, []);
    assert.deepEqual([results[0], state?.last_error], ['postponed', 'sealed under another root secret']);
    assert.equal(smtp.connections(), 0);
  });
});

test('tries are spread over hours, each later than the one before', () => {
  const waits = Array.from({ length: attemptsMax }, (_, index) => retryInSeconds(index + 1, 0.5));
  assert.deepEqual(
    waits.toSorted((a, b) => a - b),
    waits,
  );
  assert.ok((waits[0] ?? 0) <= 10 && (waits.at(-1) ?? 0) <= 3_600);
});
