/** The door of Express: middleware that sets `request.auth`, or answers. */
import type { NextFunction, Request, RequestHandler, Response } from 'express';
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
      const decision = guard.decide(incomingOf(request), requirement);
      if (decision instanceof Promise) {
        const fail = (error: unknown): void => next(error);
        decision.then((late) => settle(late, request, response, next)).catch(fail);
      } else settle(decision, request, response, next);
    };
  return makeDoor(middleware, middleware);
}

/** Apart from the middleware, which makes no function of its own for a request that waits for nothing. */
function settle(decision: Decision, request: Request, response: Response, next: NextFunction): void {
  if (decision.kind === 'refused') {
    send(response, decision.answer);
    return;
  }
  request.auth = decision.auth;
  next();
}
