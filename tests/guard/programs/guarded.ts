/**
 * A guarded service in a process of its own: told its options by message, it tells its port once it is ready. `certificate`: files
 * that it shows in the place of a key.
 */
import { createServer } from 'node:http';
import { createGuard, type GuardOptions } from '@auth-service/guard';
import { createMutualTls, type MutualTlsOptions } from '@auth-service/guard/mutual-tls';
import { createDoor } from '@auth-service/guard/node';

type Told = GuardOptions & { readonly certificate?: MutualTlsOptions };

process.once('message', ({ certificate, ...options }: Told) => {
  const guard = createGuard(
    certificate === undefined ? options : { ...options, mutualTls: createMutualTls(certificate) },
  );
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
