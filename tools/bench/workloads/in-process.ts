/** What needs no server: signatures alone, and guard's verifier and replica, measured by `guard.ts` in a process of its own. */
import { type Bench, program, serverCore } from '../lib/bench.ts';
import { outputOf } from '../lib/processes.ts';
import { perSecond, type Row } from '../lib/report.ts';

export async function inProcess(bench: Bench, wants: (name: string) => boolean): Promise<readonly Row[]> {
  return [...(wants('signature') ? await signature(bench) : []), ...(wants('guard') ? await guard(bench) : [])];
}

async function signature(bench: Bench): Promise<readonly Row[]> {
  const bare = bench.peer('bare-crypto.ts', { core: serverCore });
  const rates = await bare.ask<{ signPerSecond: number; verifyPerSecond: number }>({
    ...{ kind: 'signature', seconds: bench.quick ? 1 : 3, cost: 12 },
  });
  await bare.stop();
  const row = (workload: string, rate: number, note: string): Row => ({
    ...{ workload, ours: '', limit: perSecond(rate), ratio: undefined, bar: undefined, note, raw: { ...rates } },
  });
  return [
    row('EdDSA signature alone', rates.signPerSecond, 'one thread; each refresh and login signs once'),
    row('EdDSA verification alone', rates.verifyPerSecond, 'one thread; each token is verified once'),
  ];
}

async function guard(bench: Bench): Promise<readonly Row[]> {
  const printed = await outputOf(program('guard.ts'), bench.quick ? ['--quick'] : [], { core: serverCore });
  const { rows } = JSON.parse(printed) as { rows: readonly Row[] };
  if (rows.length === 0) throw new Error('guard.ts measured nothing');
  return rows;
}
