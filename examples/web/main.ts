/**
 * Orders, as web-standard handlers, `(request: Request) => Response`: what a Next.js `route.ts` exports, or a worker answers.
 * `node examples/web/main.ts` serves them with a few lines of `@hono/node-server`.
 */
import type { Server } from 'node:http';
import { createGuard } from '@auth-service/guard';
import { createDoor } from '@auth-service/guard/web';
import { serve } from '@hono/node-server';

const guard = createGuard({
  issuer: process.env['AUTH_ISSUER'] ?? 'http://localhost:4000',
  audience: process.env['AUTH_AUDIENCE'] ?? 'auth-service',
  apiKey: process.env['AUTH_API_KEY'],
});
const port = Number(process.env['PORT'] ?? 3000);
await guard.ready();

const door = createDoor(guard);
const routes: Readonly<Record<string, (request: Request) => Promise<Response>>> = {
  'GET /orders': door.requireAuth()((request) => Response.json({ orders: [], for: request.auth.userId })),
  'DELETE /orders': door.requirePermission('orders:delete')(() => new Response(null, { status: 204 })),
  'GET /': door.optionalAuth()((request) => new Response(`hello ${request.auth?.userId ?? 'stranger'}`)),
};
const answer = (request: Request) =>
  routes[`${request.method} ${new URL(request.url).pathname}`]?.(request) ?? new Response(null, { status: 404 });
const server = serve({ fetch: answer, port, hostname: '127.0.0.1' }) as Server;
console.log(`orders on http://localhost:${port}`);

process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  guard.close().catch(console.error);
});
