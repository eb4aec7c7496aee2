/** Orders, on bare `node:http`: `node examples/node/main.ts` */
import { createServer } from 'node:http';
import { createGuard } from '@auth-service/guard';
import { createDoor } from '@auth-service/guard/node';

const guard = createGuard({
  issuer: process.env['AUTH_ISSUER'] ?? 'http://localhost:4000',
  audience: process.env['AUTH_AUDIENCE'] ?? 'auth-service',
  apiKey: process.env['AUTH_API_KEY'],
});
const port = Number(process.env['PORT'] ?? 3000);
await guard.ready();

const door = createDoor(guard);
const orders = door.requireAuth()((request, response) => {
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ orders: [], for: request.auth.userId }));
});
const erase = door.requirePermission('orders:delete')((_, response) => response.writeHead(204).end());
const welcome = door.optionalAuth()((request, response) => response.end(`hello ${request.auth?.userId ?? 'stranger'}`));

const server = createServer((request, response) => {
  if (request.url === '/orders' && request.method === 'GET') orders(request, response);
  else if (request.url === '/orders' && request.method === 'DELETE') erase(request, response);
  else welcome(request, response);
});
server.listen(port, '127.0.0.1', () => console.log(`orders on http://localhost:${port}`));

process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  guard.close().catch(console.error);
});
