/**
 * The audit log: every security event, append-only and hash-chained.
 *
 * - An event is written in the transaction of the change it tells of: neither stands without the other.
 * - Events are chained after their commit by a sealer, so that requests do not queue behind one chain lock; whoever reads
 *   the log seals first, so no reader sees an unsealed event (docs/decisions/0008).
 * - The end of the chain, and where retention has cut its beginning, are anchored with a MAC under the root secret: a log that was
 *   cut, written anew or lengthened without it does not verify (docs/decisions/0026).
 * - Without the database there is no event and no change.
 */

export type { AnchorRow } from './anchors.sql.ts';
export { readAnchor, type ShownAnchor } from './anchors.ts';
export {
  type Audit,
  type AuditEvent,
  type AuditPage,
  createAudit,
  type ListedAuditRow,
  noOrigin,
  type Origin,
} from './audit.ts';
export type { AuditFilters } from './list.sql.ts';
export type { Verification } from './verify.ts';
