/** A guarded service in a process of its own: told its options by message, it tells its port once it is ready. */
import { createServer } from 'node:http';
import { createGuard, type GuardOptions } from '@auth-service/guard';
import { createDoor } from '@auth-service/guard/node';

process.once('message', (options: GuardOptions) => {
  const guard = createGuard(options);
  const server = createServer(createDoor(guard).requireAuth()((_, response) => response.end('{}')));
  guard
    .ready()
    .then(() =>
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        process.send?.(typeof address === 'object' ? address?.port : 0);
      }),
    )
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
});
process.on('disconnect', () => process.exit(0));
