/** The door of Fastify: an `onRequest` hook, before any body is read, that sets `request.auth`, or answers. */
import type { onRequestHookHandler } from 'fastify';
import type { Auth, Decision } from './decide.ts';
import { type Decider, type Door, makeDoor } from './door.ts';
import { incomingOf } from './node.ts';
import type { Requirement } from './requirement.ts';

export { authOf } from './door.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls; `null` for nobody; `undefined` where no door was passed. */
    auth?: Auth | null;
  }
}

/** `app.get('/orders', { onRequest: door.requirePermission('orders:read') }, async (request) => …)` */
export function createDoor(guard: Decider): Door<onRequestHookHandler> {
  const hook =
    (requirement: Requirement): onRequestHookHandler =>
    (request, reply, done) => {
      const settle = (decision: Decision): void => {
        if (decision.kind === 'refused') {
          const { status, headers, body } = decision.answer;
          reply.code(status).headers(headers).send(body);
          return;
        }
        request.auth = decision.auth;
        done();
      };
      const fail = (error: Error): void => done(error);
      const decision = guard.decide(incomingOf(request.raw), requirement);
      if (decision instanceof Promise) decision.then(settle).catch(fail);
      else settle(decision);
    };
  return makeDoor(hook, hook);
}
