/** The authentication service inside a Fastify application: `node examples/embedded/fastify.ts` */
import { createLog, createService, readSettings } from '@auth-service/server';
import Fastify from 'fastify';

const port = Number(process.env['PORT'] ?? 3000);

const log = createLog({ level: 'info', format: 'pretty', destination: process.stdout });
const service = createService({
  log,
  settings: readSettings({
    DATA_DIR: process.env['DATA_DIR'] ?? './data',
    PUBLIC_URL: `http://localhost:${port}`,
    ...(process.env['DATABASE_URL'] === undefined ? {} : { DATABASE_URL: process.env['DATABASE_URL'] }),
    ...(process.env['JWT_SECRET'] === undefined ? {} : { JWT_SECRET: process.env['JWT_SECRET'] }),
  }),
});
await service.start();

const app = Fastify();
app.get('/hello', async () => ({ hello: 'from the host application' }));
await app.register(service.plugin);
await app.listen({ port, host: '127.0.0.1' });
console.log(`http://localhost:${port}/hello and http://localhost:${port}/docs`);

process.once('SIGTERM', () => {
  app
    .close()
    .then(() => service.stop())
    .catch((error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    });
});
