import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forEachStore } from '../../../../tests/support/stores.ts';
import type { Database, Queryable, Statement } from '../platform/database/index.ts';
import { type Checked, createLockout, type Lockout } from './lockout.ts';

const maxAttempts = 5;
const hmacKey = Buffer.alloc(32, 7);
const lockoutOf = (db: Queryable, changes: Partial<Parameters<typeof createLockout>[0]> = {}): Lockout =>
  createLockout({ db, hmacKey, maxAttempts, durationSeconds: 900, ...changes });

function nodeOf(nodes: readonly Lockout[], n: number): Lockout {
  const node = nodes[n % nodes.length];
  assert.ok(node);
  return node;
}

const right = (): Promise<Checked<string>> => Promise.resolve({ ok: true, value: 'in' });
const wrong = (): Promise<Checked<string>> => Promise.resolve({ ok: false, value: 'no' });
const undecided = (): Promise<Checked<string>> => Promise.resolve({ undecided: 'overloaded' });

async function times<T>(count: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let n = 0; n < count; n++) results.push(await work());
  return results;
}

/** Lets time pass for every row, as the statements see it. */
const elapse = (db: Database, seconds: number): Promise<void> =>
  db.execute(`update lockouts set updated_at = updated_at - interval '${seconds} seconds',
                                  locked_until = locked_until - interval '${seconds} seconds'`);

/** Checks that end when they are told to, so that any number are undecided at once. */
function gate(): { check: (ok: boolean) => () => Promise<Checked<string>>; started: () => number; open: () => void } {
  let started = 0;
  const opened = Promise.withResolvers<void>();
  return {
    check: (ok) => async () => {
      started++;
      await opened.promise;
      return { ok, value: '' };
    },
    started: () => started,
    open: () => opened.resolve(),
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !condition(); turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(condition());
}

forEachStore('lockout', (makeDatabase) => {
  test('LCK-01 after the limit the account is refused, the right password too, until the lock ends', async () => {
    const db = await makeDatabase();
    const lockout = lockoutOf(db);
    const failures = await times(maxAttempts, () => lockout.attempt('a@b.c', undefined, wrong));
    assert.deepEqual(
      failures.map((attempt) => attempt.kind === 'failed' && attempt.lockedNow),
      [false, false, false, false, true],
    );
    const locked = await lockout.attempt('a@b.c', undefined, right);
    assert.ok(locked.kind === 'locked' && locked.retryAfterSeconds > 890 && locked.retryAfterSeconds <= 900);
    assert.equal((await lockout.attempt('other@b.c', undefined, right)).kind, 'succeeded');

    await elapse(db, 901);
    assert.equal((await lockout.attempt('a@b.c', undefined, wrong)).kind, 'failed');
    assert.equal((await lockout.attempt('a@b.c', undefined, right)).kind, 'succeeded');
  });

  test('LCK-06 a success forgets the failures before it', async () => {
    const db = await makeDatabase();
    const lockout = lockoutOf(db);
    for (let round = 0; round < 3; round++) {
      await times(maxAttempts - 1, () => lockout.attempt('a@b.c', undefined, wrong));
      assert.equal((await lockout.attempt('a@b.c', undefined, right)).kind, 'succeeded');
    }
  });

  test('failures fade when none is added for the duration', async () => {
    const db = await makeDatabase();
    const lockout = lockoutOf(db);
    await times(maxAttempts - 1, () => lockout.attempt('a@b.c', undefined, wrong));
    await elapse(db, 901);
    const again = await times(maxAttempts, () => lockout.attempt('a@b.c', undefined, wrong));
    assert.deepEqual(
      again.map((attempt) => attempt.kind === 'failed' && attempt.lockedNow),
      [false, false, false, false, true],
    );
  });

  test('RAT-02 of 200 parallel wrong guesses, over two nodes, exactly the limit is checked and one locks', async () => {
    const db = await makeDatabase();
    const nodes = [lockoutOf(db), lockoutOf(db)];
    let checked = 0;
    const guess = async (): Promise<Checked<null>> => {
      checked++;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return { ok: false, value: null };
    };
    const attempts = await Promise.all(
      Array.from({ length: 200 }, (_, n) => nodeOf(nodes, n).attempt('victim@b.c', undefined, guess)),
    );
    assert.equal(checked, maxAttempts);
    assert.equal(attempts.filter((attempt) => attempt.kind === 'failed').length, maxAttempts);
    assert.equal(attempts.filter((attempt) => attempt.kind === 'failed' && attempt.lockedNow).length, 1);
    assert.equal(attempts.filter((attempt) => attempt.kind === 'locked').length, 200 - maxAttempts);
  });

  test('RAT-02 the right password does not slip in beside undecided guesses that lock the account', async () => {
    const db = await makeDatabase();
    const [first, second] = [lockoutOf(db), lockoutOf(db)];
    const guesses = gate();
    const guessing = Array.from({ length: maxAttempts }, () => first.attempt('a@b.c', undefined, guesses.check(false)));
    await until(() => guesses.started() === maxAttempts);
    const owners = [first, second].map((node) => node.attempt('a@b.c', undefined, right));
    guesses.open();
    await Promise.all(guessing);
    for (const owner of owners) assert.equal((await owner).kind, 'locked');
  });

  test('many parallel logins of one account all succeed, whichever node they reach', async () => {
    const db = await makeDatabase();
    const nodes = [lockoutOf(db), lockoutOf(db)];
    const check = async (): Promise<Checked<null>> => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return { ok: true, value: null };
    };
    const attempts = await Promise.all(
      Array.from({ length: 60 }, (_, n) => nodeOf(nodes, n).attempt('busy@b.c', undefined, check)),
    );
    assert.ok(attempts.every((attempt) => attempt.kind === 'succeeded'));
  });

  test('LCK-07 an unknown account takes the same statements and locks alike', async () => {
    const db = await makeDatabase();
    const statements: string[] = [];
    const watching: Queryable = {
      run: <P extends readonly unknown[], R>(what: Statement<P, R>, params: P) => {
        statements.push(what.name);
        return db.run(what, params);
      },
    };
    const lockout = lockoutOf(watching);
    const seen = new Map<string, unknown>();
    for (const account of ['known@b.c', '\0no address at all']) {
      statements.length = 0;
      const attempts = await times(maxAttempts + 1, () => lockout.attempt(account, undefined, wrong));
      seen.set(account, { statements: [...statements], kinds: attempts.map((attempt) => attempt.kind) });
    }
    assert.deepEqual(seen.get('known@b.c'), seen.get('\0no address at all'));
  });

  test('LCK-02 strangers cannot lock a device out that logged in before, nor the device its owner elsewhere', async () => {
    const db = await makeDatabase();
    const lockout = lockoutOf(db);
    await times(maxAttempts + 1, () => lockout.attempt('a@b.c', undefined, wrong));
    assert.equal((await lockout.attempt('a@b.c', undefined, right)).kind, 'locked');
    assert.equal((await lockout.attempt('a@b.c', 'laptop', right)).kind, 'succeeded');
    await times(maxAttempts, () => lockout.attempt('b@b.c', 'laptop', wrong));
    assert.equal((await lockout.attempt('b@b.c', 'laptop', right)).kind, 'locked');
    assert.equal((await lockout.attempt('b@b.c', 'phone', right)).kind, 'succeeded');
    assert.equal((await lockout.attempt('b@b.c', undefined, right)).kind, 'succeeded');
  });

  test('what could not be checked counts for nothing, thrown or told', async () => {
    const db = await makeDatabase();
    const lockout = lockoutOf(db);
    for (let n = 0; n < maxAttempts * 2; n++) {
      assert.equal((await lockout.attempt('a@b.c', undefined, undecided)).kind, 'undecided');
      const failing = lockout.attempt('a@b.c', undefined, () => Promise.reject(new Error('the check broke')));
      await assert.rejects(failing, /the check broke/);
    }
    assert.equal((await lockout.attempt('a@b.c', undefined, wrong)).kind, 'failed');
    assert.equal((await lockout.attempt('a@b.c', undefined, right)).kind, 'succeeded');
  });

  test('reservations of a process that died end after a minute', async () => {
    const db = await makeDatabase();
    const dying = lockoutOf(db);
    const never = gate();
    for (let n = 0; n < maxAttempts; n++) void dying.attempt('a@b.c', undefined, never.check(true));
    await until(() => never.started() === maxAttempts);
    const other = lockoutOf(db, { waitMs: 150 });
    assert.equal((await other.attempt('a@b.c', undefined, right)).kind, 'undecided');
    await elapse(db, 61);
    assert.equal((await other.attempt('a@b.c', undefined, right)).kind, 'succeeded');
    never.open();
  });

  test('waiting is bounded in time and in number', async () => {
    const db = await makeDatabase();
    const lockout = lockoutOf(db, { waitMs: 200, waitingMax: 10 });
    const slow = gate();
    const holding = Array.from({ length: maxAttempts }, () => lockout.attempt('a@b.c', undefined, slow.check(true)));
    await until(() => slow.started() === maxAttempts);
    const waiting = Array.from({ length: 30 }, () => lockout.attempt('a@b.c', undefined, right));
    for (const attempt of await Promise.all(waiting)) assert.equal(attempt.kind, 'undecided');
    slow.open();
    for (const attempt of await Promise.all(holding)) assert.equal(attempt.kind, 'succeeded');
    assert.equal((await lockout.attempt('a@b.c', undefined, right)).kind, 'succeeded');
  });

  test('a lower limit locks whom the higher one had not', async () => {
    const db = await makeDatabase();
    await times(4, () => lockoutOf(db).attempt('a@b.c', undefined, wrong));
    const locked = await lockoutOf(db, { maxAttempts: 3 }).attempt('a@b.c', undefined, right);
    assert.ok(locked.kind === 'locked' && locked.retryAfterSeconds > 890);
  });

  test('unlocking forgets the lock; sweeping removes only what counts for nothing', async () => {
    const db = await makeDatabase();
    const lockout = lockoutOf(db);
    await times(maxAttempts, () => lockout.attempt('a@b.c', undefined, wrong));
    assert.equal(await lockout.unlock('a@b.c'), true);
    assert.equal(await lockout.unlock('a@b.c'), false);
    assert.equal((await lockout.attempt('a@b.c', undefined, right)).kind, 'succeeded');

    await elapse(db, 901);
    await times(maxAttempts, () => lockout.attempt('locked@b.c', undefined, wrong));
    assert.equal(await lockout.sweep(), 1);
    assert.equal((await lockout.attempt('locked@b.c', undefined, right)).kind, 'locked');
  });
});
