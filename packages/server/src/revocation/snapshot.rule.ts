/** Whether a transaction is visible in a snapshot of PostgreSQL (`xmin:xmax:in,progress`), as `pg_visible_in_snapshot` has it. */
export function isVisibleIn(xid: string, snapshot: string): boolean {
  const [xmin = '0', xmax = '0', inProgress = ''] = snapshot.split(':');
  const id = BigInt(xid);
  if (id < BigInt(xmin)) return true;
  return id < BigInt(xmax) && !inProgress.split(',').includes(xid);
}
