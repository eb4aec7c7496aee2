/** The authentication service inside a bare `node:http` server: `node examples/embedded/node-http.ts` */
import { createServer } from 'node:http';
import { createLog, createService, readSettings } from '@auth-service/server';

const port = Number(process.env['PORT'] ?? 3000);

const service = createService({
  log: createLog({ level: 'info', format: 'pretty', destination: process.stdout }),
  settings: readSettings({
    DATA_DIR: process.env['DATA_DIR'] ?? './data',
    PUBLIC_URL: `http://localhost:${port}`,
  }),
});
await service.start();

const server = createServer((request, response) => {
  if (request.url === '/hello') {
    response.end('hello from the host application\n');
    return;
  }
  service.handler(request, response);
});
server.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}/hello and http://localhost:${port}/docs`));

process.once('SIGTERM', () => {
  server.close();
  service.stop().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
});
