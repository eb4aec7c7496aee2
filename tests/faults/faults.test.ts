/** The short form of the fault suite: what it takes a minute and a half to prove. All of it: `npm run test:faults`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { experiments } from './experiments.ts';
import { describeResult } from './report.ts';
import { demandNamespaces, perform } from './sandbox.ts';

const chosen = ['F-06', 'F-12'];
const runFile = fileURLToPath(new URL('run.ts', import.meta.url));

describe('three nodes under faults', () => {
  before(demandNamespaces);
  for (const { id, title } of experiments.filter((one) => chosen.includes(one.id))) {
    test(`${id} every promise holds: ${title}`, async (t) => {
      const result = await perform({ id, shape: 'redis', seed: 1, keep: undefined });
      t.diagnostic(describeResult(result));
      // How many requests are served meanwhile depends on what else the machine does: `npm run test:faults` holds that, alone.
      const broken = result.findings.violations.filter(({ kind }) => kind !== 'a bar of this experiment');
      assert.deepEqual(broken, []);
    });
  }

  test('a run that is killed leaves no process behind', async () => {
    const run = spawn(process.execPath, [runFile, 'F-00', '--shape', 'database'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => run.once('exit', resolve));
    let bed: readonly number[] = [];
    for (let turn = 0; turn < 600 && !bed.some(isDatabase); turn += 1) {
      await sleep(100);
      bed = descendants(run.pid ?? 0);
    }
    assert.ok(bed.some(isDatabase), 'the bed has a database');
    run.kill('SIGKILL');
    await ended;
    for (let turn = 0; turn < 100 && bed.some(isAlive); turn += 1) await sleep(100);
    assert.deepEqual(bed.filter(isAlive), []);
  });
});

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

function isDatabase(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('/bin/postgres');
  } catch {
    return false;
  }
}

function descendants(of: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const found = [of];
  for (const parent of found) for (const [pid, its] of parents) if (its === parent) found.push(pid);
  return found.slice(1);
}
