/** One Fastify route, bare and behind the door: two listeners of one process, so that both are compiled alike. */
import { createPublicKey, type JsonWebKey, randomBytes } from 'node:crypto';
import {
  createDecide,
  createFreshness,
  createKeySet,
  createLocalJudge,
  createReplica,
  createSubscriber,
  createVerifier,
} from '@auth-service/guard';
import { createDoor } from '@auth-service/guard/fastify';
import Fastify, { type FastifyInstance, type RouteShorthandOptions } from 'fastify';

interface Setup {
  readonly kid: string;
  readonly jwk: JsonWebKey;
  readonly issuer: string;
  readonly audience: string;
}

function makeDoor({ kid, jwk, issuer, audience }: Setup) {
  const keys = createKeySet();
  keys.replace([{ kid, algorithm: 'EdDSA', publicKey: createPublicKey({ key: jwk, format: 'jwk' }) }]);
  const replica = createReplica({ hashKey: randomBytes(16) });
  const clocks = { monotonicNow: () => performance.now(), wallNow: () => Date.now(), maxStalenessMs: 3_600_000 };
  const freshness = createFreshness(clocks);
  const subscriber = createSubscriber({ replica, freshness });
  subscriber.complete(subscriber.begin(), { storeEpoch: 'bench', snapshot: '', entries: [], whole: true });
  const now = () => Date.now() / 1_000;
  const verifier = createVerifier({ keys, replica, freshness, issuer, audience, clock: now, whenStale: 'serve' });
  const judge = createLocalJudge({ verifier, freshness });
  return createDoor({ decide: createDecide({ judge, now, newRequestId: () => 'none', realm: audience }) });
}

async function listen(app: FastifyInstance, options: RouteShorthandOptions): Promise<number> {
  const schema = { response: { 200: { type: 'object', properties: { orders: { type: 'integer' } } } } };
  app.get('/orders', { ...options, schema }, (_, reply) => {
    reply.send({ orders: 3 });
  });
  return Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port);
}

process.once('message', (setup: Setup) => {
  const onRequest = makeDoor(setup).requirePermission('orders:read');
  Promise.all([listen(Fastify(), {}), listen(Fastify(), { onRequest })])
    .then(([bare, guarded]) => process.send?.({ bare, guarded }))
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
});
process.on('disconnect', () => process.exit(0));
