/** Whether a transaction is visible in a snapshot of PostgreSQL, as its text tells: `xmin:xmax:in-progress,…`. */
const form = /^([0-9]+):([0-9]+):([0-9,]*)$/;

/** Arguments in the order of `pg_visible_in_snapshot`; what is no snapshot shows nothing. */
export function isVisibleIn(xid: string, snapshot: string): boolean {
  const [, xmin, xmax, running] = form.exec(snapshot) ?? [];
  if (xmin === undefined || xmax === undefined || running === undefined) return false;
  const id = BigInt(xid);
  if (id < BigInt(xmin)) return true;
  return id < BigInt(xmax) && !running.split(',').includes(xid);
}

/** Whether everything that is visible in `earlier` is visible in `later`, both of one history. */
export function includesSnapshot(later: string, earlier: string): boolean {
  const [, , laterMax, laterRunning] = form.exec(later) ?? [];
  const [, , earlierMax, earlierRunning] = form.exec(earlier) ?? [];
  if (laterMax === undefined || earlierMax === undefined) return false;
  const limit = BigInt(earlierMax);
  if (BigInt(laterMax) < limit) return false;
  const ran = new Set((earlierRunning ?? '').split(','));
  return (laterRunning ?? '').split(',').every((xid) => xid === '' || BigInt(xid) >= limit || ran.has(xid));
}
