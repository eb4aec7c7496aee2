/** The door of Hono: middleware that sets the variable `auth` (`c.var.auth`), or answers. */
import type { MiddlewareHandler } from 'hono';
import type { Auth } from './decide.ts';
import { type Decider, type Door, makeDoor } from './door.ts';
import type { Requirement } from './requirement.ts';
import { incomingOfHeaders, responseOf } from './web.ts';

type Middleware<Who> = MiddlewareHandler<{ Variables: { auth: Who } }>;

/** `app.get('/orders', door.requirePermission('orders:read'), (c) => c.json({ by: c.var.auth.userId }))` */
export function createDoor(guard: Decider): Door<Middleware<Auth>, Middleware<Auth | null>> {
  const middleware =
    (requirement: Requirement): Middleware<Auth | null> =>
    async (c, next) => {
      const decision = await guard.decide(incomingOfHeaders(c.req.raw.headers), requirement);
      if (decision.kind === 'refused') return responseOf(decision.answer);
      c.set('auth', decision.auth);
      return next();
    };
  // Nobody is let through as `null` by a requirement that is not optional.
  return makeDoor(middleware as unknown as (requirement: Requirement) => Middleware<Auth>, middleware);
}
