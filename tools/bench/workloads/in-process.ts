/** What needs no server: signatures alone, and guard's verifier and replica, measured by `guard.ts` in a process of its own. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Bench, program, serverCore } from '../lib/bench.ts';
import { atLeast, atMost, format, perSecond, type Row } from '../lib/report.ts';

export async function inProcess(bench: Bench, wants: (name: string) => boolean): Promise<readonly Row[]> {
  return [...(wants('signature') ? await signature(bench) : []), ...(wants('guard') ? await guard(bench) : [])];
}

async function signature(bench: Bench): Promise<readonly Row[]> {
  const bare = bench.peer('bare-crypto.ts', { core: serverCore });
  const rates = await bare.ask<{ signPerSecond: number; verifyPerSecond: number }>({
    ...{ kind: 'signature', seconds: bench.quick ? 1 : 3, cost: 12 },
  });
  await bare.stop();
  const row = (workload: string, rate: number): Row => ({
    ...{ workload, ours: '', limit: perSecond(rate), ratio: undefined, bar: undefined },
    note: 'one thread; each refresh and login signs once',
    raw: { ...rates },
  });
  return [row('EdDSA signature alone', rates.signPerSecond), row('EdDSA verification alone', rates.verifyPerSecond)];
}
void execFile;
void existsSync;
void promisify;
void program;
void atLeast;
void atMost;
void format;
async function guard(_bench: Bench): Promise<readonly Row[]> {
  return [];
}
