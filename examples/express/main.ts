/** Orders, on Express: `node examples/express/main.ts` */
import { createGuard } from '@auth-service/guard';
import { authOf, createDoor } from '@auth-service/guard/express';
import express from 'express';

const guard = createGuard({
  issuer: process.env['AUTH_ISSUER'] ?? 'http://localhost:4000',
  audience: process.env['AUTH_AUDIENCE'] ?? 'auth-service',
  apiKey: process.env['AUTH_API_KEY'],
});
const port = Number(process.env['PORT'] ?? 3000);
await guard.ready();

const door = createDoor(guard);
const app = express();
app.get('/orders', door.requireAuth(), (request, response) => {
  response.json({ orders: [], for: authOf(request).userId });
});
app.delete('/orders', door.requirePermission('orders:delete'), (_, response) => {
  response.status(204).end();
});
app.get('/', door.optionalAuth(), (request, response) => {
  response.send(`hello ${request.auth?.userId ?? 'stranger'}`);
});
const server = app.listen(port, '127.0.0.1', () => console.log(`orders on http://localhost:${port}`));

process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  guard.close().catch(console.error);
});
