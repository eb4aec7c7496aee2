/** The door of Express: middleware that sets `request.auth`, or answers. */
import type { RequestHandler } from 'express';
import type { Auth, Decision } from './decide.ts';
import { type Decider, type Door, makeDoor } from './door.ts';
import { incomingOf, send } from './node.ts';
import type { Requirement } from './requirement.ts';

export { authOf } from './door.ts';

declare global {
  // biome-ignore lint/style/noNamespace: this is how Express lets middleware add to its request
  namespace Express {
    interface Request {
      /** Who calls; `null` for nobody; `undefined` where no door was passed. */
      auth?: Auth | null;
    }
  }
}

/** `app.get('/orders', door.requirePermission('orders:read'), (request, response) => …)` */
export function createDoor(guard: Decider): Door<RequestHandler> {
  const middleware =
    (requirement: Requirement): RequestHandler =>
    (request, response, next) => {
      const settle = (decision: Decision): void => {
        if (decision.kind === 'refused') {
          send(response, decision.answer);
          return;
        }
        request.auth = decision.auth;
        next();
      };
      const fail = (error: unknown): void => next(error);
      const decision = guard.decide(incomingOf(request), requirement);
      if (decision instanceof Promise) decision.then(settle).catch(fail);
      else settle(decision);
    };
  return makeDoor(middleware, middleware);
}
