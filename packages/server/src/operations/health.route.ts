/** GET /health, /health/live, /health/ready */
import { HealthSchema, Type } from '@auth-service/protocol';
import { defineRoute, type RouteDefinition } from '../platform/http/index.ts';
import type { Health } from './health.ts';

const ProbeSchema = Type.Object({ status: Type.String() }, { title: 'Probe', additionalProperties: false });

export function healthRoutes(health: Health): readonly RouteDefinition[] {
  const common = {
    method: 'GET',
    tags: ['operations'],
    access: { kind: 'public' },
    limit: null,
    unknownFields: 'ignore',
    errors: [],
  } as const;
  return [
    defineRoute({
      ...common,
      path: '/health',
      summary: 'Health of this node, in detail',
      answers: {
        200: {
          description: '`ok`, or `degraded`: something is away that is not needed to answer.',
          schema: HealthSchema,
        },
        503: { description: '`unavailable`', schema: HealthSchema },
      },
      async handle() {
        const report = await health.report();
        const isAway = report.status === 'unavailable';
        return { status: isAway ? 503 : 200, body: report, ...(isAway ? { headers: { 'Retry-After': '1' } } : {}) };
      },
    }),
    defineRoute({
      ...common,
      path: '/health/live',
      summary: 'Whether the process answers',
      answers: { 200: { description: 'It does.', schema: ProbeSchema } },
      handle: () => ({ status: 200, body: { status: 'live' } }),
    }),
    defineRoute({
      ...common,
      path: '/health/ready',
      summary: 'Whether this node should get requests',
      answers: {
        200: { description: 'It should.', schema: ProbeSchema },
        503: { description: 'Starting, closing, or not fresh.', schema: ProbeSchema },
      },
      handle: ({ peer }) =>
        health.ready(peer)
          ? { status: 200, body: { status: 'ready' } }
          : { status: 503, body: { status: 'not_ready' }, headers: { 'Retry-After': '1' } },
    }),
  ];
}
