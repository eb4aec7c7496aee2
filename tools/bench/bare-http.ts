/**
 * The limit of `validate-token` over HTTP: a bare `node:http` server that reads the body, parses the same JSON, looks at the
 * token's type, and answers bytes that it was handed: the service's own, with the same headers. Nothing is verified.
 */
import { createServer } from 'node:http';

interface Setup {
  readonly headers: readonly string[];
  readonly body: string;
}

process.once('message', ({ headers, body }: Setup) => {
  const flat = [...headers];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const [first] = chunks;
      const whole = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
      const { token } = JSON.parse(whole.toString()) as { token?: unknown };
      if (typeof token !== 'string') {
        response.writeHead(422).end();
        return;
      }
      response.writeHead(200, flat);
      // Text goes out with the headers in one write, bytes in a second: the limit takes the cheaper way.
      response.end(body, 'latin1');
    });
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    process.send?.({ port: typeof address === 'object' ? address?.port : 0 });
  });
});
process.on('disconnect', () => process.exit(0));
