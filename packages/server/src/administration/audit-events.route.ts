/** GET /api/admin/audit-events, …/verify and …/export */
import {
  AuditEventsSchema,
  AuditExportQuerySchema,
  AuditQuerySchema,
  AuditVerificationSchema,
} from '@auth-service/protocol';
import type { Audit, ListedAuditRow } from '../audit/index.ts';
import type { Cursors } from '../keys/index.ts';
import { ndjson, type Refusal, refusal, streamLines } from '../platform/http/index.ts';
import { defineRoute } from '../sessions/index.ts';
import { notACursor } from './answers.ts';

const access = { kind: 'bearer', permission: 'audit:read' } as const;
const common = { tags: ['administration'], limit: 'api', unknownFields: 'ignore' } as const;
const limitDefault = 50;
/** A long log takes long to walk. */
const verifyDeadlineMs = 120_000;

export const auditEventsRoutes = (deps: { readonly audit: Audit; readonly cursors: Cursors }) => [
  defineRoute({
    ...common,
    access,
    method: 'GET',
    path: '/api/admin/audit-events',
    summary: 'The audit log, newest first',
    query: AuditQuerySchema,
    answers: { 200: { description: 'A page of events.', schema: AuditEventsSchema } },
    errors: [],
    async handle({ query }) {
      const { actor, target, type, since, until, cursor, limit = limitDefault } = query;
      const from = momentOf('since', since);
      const to = momentOf('until', until);
      if (from !== undefined && 'kind' in from) return from;
      if (to !== undefined && 'kind' in to) return to;
      const filters = { actor, target, type, since: from?.toISOString(), until: to?.toISOString() };
      const place = cursor === undefined ? undefined : deps.cursors.read('audit', filters, cursor);
      if (cursor !== undefined && place === undefined) return notACursor;
      const before = place === undefined ? null : String(place[0]);
      const page = await deps.audit.list({ actor, target, type, since: from, until: to }, { limit, before });
      const next = page.next === null ? null : deps.cursors.write('audit', filters, [page.next]);
      return { status: 200, body: { items: page.events.map(show), next_cursor: next } };
    },
  }),
  defineRoute({
    ...common,
    access,
    method: 'GET',
    path: '/api/admin/audit-events/verify',
    summary: 'Walk the hash chain of the audit log and name the first broken row',
    answers: { 200: { description: 'What was found.', schema: AuditVerificationSchema } },
    errors: [],
    deadlineMs: verifyDeadlineMs,
    handle: async () => ({ status: 200, body: await deps.audit.verify() }),
  }),
  defineRoute({
    ...common,
    access,
    method: 'GET',
    path: '/api/admin/audit-events/export',
    summary: 'The audit log as NDJSON, oldest first, with what each event keeps besides',
    query: AuditExportQuerySchema,
    answers: { 200: { description: 'A line for each event.', contentType: ndjson } },
    errors: [],
    async handle({ query }) {
      const { actor, target, type } = query;
      const since = momentOf('since', query.since);
      const until = momentOf('until', query.until);
      if (since !== undefined && 'kind' in since) return since;
      if (until !== undefined && 'kind' in until) return until;
      const events = deps.audit.export({ actor, target, type, since, until });
      return { status: 200, contentType: ndjson, stream: (stream) => void streamLines(shown(events), stream) };
    },
  }),
];

async function* shown(events: AsyncIterable<ListedAuditRow>): AsyncGenerator<object> {
  for await (const event of events) yield { ...show(event), detail: event.detail, seq: event.seq };
}

/** The form is checked by the schema; whether there is such a day is not. */
function momentOf(name: string, text: string | undefined): Date | Refusal | undefined {
  if (text === undefined) return undefined;
  const moment = new Date(text);
  if (!Number.isNaN(moment.getTime())) return moment;
  const error = { pointer: `/${name}`, code: 'invalid', detail: 'There is no such time.' };
  return refusal('validation_failed', { errors: [error] });
}

const show = (row: ListedAuditRow): object => ({
  id: row.id,
  time: row.time.toISOString(),
  type: row.type,
  actor: row.actor,
  target: row.target,
  ip: row.ip,
  user_agent: row.user_agent,
  outcome: row.outcome,
  request_id: row.request_id,
  prev_hash: row.prev_hash,
  hash: row.hash,
});
