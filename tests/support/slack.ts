/**
 * How long something may take in the suite, when alone on the machine it may take `bar` (of any unit).
 *
 * The suite shares its cores with itself and with others: a limit here tells what hangs from what does not. The bars
 * themselves are measured by the fault bed and the benchmarks, which are alone.
 */
export const besideOthers = (bar: number): number => bar * 4;
