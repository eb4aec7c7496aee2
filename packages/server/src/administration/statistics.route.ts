/** GET /api/admin/stats */
import { StatisticsSchema } from '@auth-service/protocol';
import { defineRoute } from '../sessions/index.ts';
import type { Statistics } from './statistics.ts';

export const statisticsRoute = (statistics: Statistics) =>
  defineRoute({
    method: 'GET',
    path: '/api/admin/stats',
    summary: 'How many accounts, sessions and live revocations there are',
    description: 'Counted at most every ten seconds on each node.',
    tags: ['administration'],
    access: { kind: 'bearer', permission: 'stats:read' },
    limit: 'api',
    unknownFields: 'ignore',
    answers: { 200: { description: 'The figures.', schema: StatisticsSchema } },
    errors: [],
    handle: async () => ({ status: 200, body: await statistics() }),
  });
