/** The door of Fastify: an `onRequest` hook, before any body is read, that sets `request.auth`, or answers. */
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
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
      const decision = guard.decide(incomingOf(request.raw), requirement);
      if (decision instanceof Promise) {
        const fail = (error: Error): void => done(error);
        decision.then((late) => settle(late, request, reply, done)).catch(fail);
      } else settle(decision, request, reply, done);
    };
  return makeDoor(hook, hook);
}

/** Apart from the hook, which makes no function of its own for a request that waits for nothing. */
function settle(decision: Decision, request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  if (decision.kind === 'refused') {
    const { status, headers, body } = decision.answer;
    reply.code(status).headers(headers).send(body);
    return;
  }
  request.auth = decision.auth;
  done();
}
