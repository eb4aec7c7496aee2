/** Orders, on Fastify: `node examples/fastify/main.ts` */
import { createGuard } from '@auth-service/guard';
import { authOf, createDoor } from '@auth-service/guard/fastify';
import Fastify from 'fastify';

const guard = createGuard({
  issuer: process.env['AUTH_ISSUER'] ?? 'http://localhost:4000',
  audience: process.env['AUTH_AUDIENCE'] ?? 'auth-service',
  apiKey: process.env['AUTH_API_KEY'],
});
const port = Number(process.env['PORT'] ?? 3000);
await guard.ready();

const door = createDoor(guard);
const app = Fastify();
app.get('/orders', { onRequest: door.requireAuth() }, async (request) => ({ orders: [], for: authOf(request).userId }));
app.delete('/orders', { onRequest: door.requirePermission('orders:delete') }, async (_, reply) =>
  reply.code(204).send(),
);
app.get('/', { onRequest: door.optionalAuth() }, async (request) => `hello ${request.auth?.userId ?? 'stranger'}`);
app.addHook('onClose', () => guard.close());
await app.listen({ port, host: '127.0.0.1' });
console.log(`orders on http://localhost:${port}`);

process.once('SIGTERM', () => {
  app.close().catch(console.error);
});
