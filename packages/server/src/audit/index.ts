/**
 * The audit log: every security event, append-only and hash-chained.
 *
 * - An event is written in the transaction of the change it tells of: neither stands without the other.
 * - Events are chained after their commit by a sealer, so that requests do not queue behind one chain lock; whoever reads
 *   the log seals first, so no reader sees an unsealed event (docs/decisions/0008).
 * - Without the database there is no event and no change.
 */

export {
  type Audit,
  type AuditEvent,
  type AuditPage,
  createAudit,
  type ListedAuditRow,
  noOrigin,
  type Origin,
  type Verification,
} from './audit.ts';
export type { AuditFilters } from './list.sql.ts';
