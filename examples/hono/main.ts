/** Orders, on Hono: `node examples/hono/main.ts` */
import type { Server } from 'node:http';
import { createGuard } from '@auth-service/guard';
import { createDoor } from '@auth-service/guard/hono';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const guard = createGuard({
  issuer: process.env['AUTH_ISSUER'] ?? 'http://localhost:4000',
  audience: process.env['AUTH_AUDIENCE'] ?? 'auth-service',
  apiKey: process.env['AUTH_API_KEY'],
});
const port = Number(process.env['PORT'] ?? 3000);
await guard.ready();

const door = createDoor(guard);
const app = new Hono();
app.get('/orders', door.requireAuth(), (c) => c.json({ orders: [], for: c.var.auth.userId }));
app.delete('/orders', door.requirePermission('orders:delete'), (c) => c.body(null, 204));
app.get('/', door.optionalAuth(), (c) => c.text(`hello ${c.var.auth?.userId ?? 'stranger'}`));
const server = serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }) as Server;
console.log(`orders on http://localhost:${port}`);

process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  guard.close().catch(console.error);
});
