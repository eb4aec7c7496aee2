/** The door of web-standard handlers, `(request: Request) => Response`: Next.js route handlers, workers, Deno, Bun. */
import type { Answer } from './answer.ts';
import type { Auth, Incoming } from './decide.ts';
import { type Decider, type Door, makeDoor } from './door.ts';
import type { Requirement } from './requirement.ts';

export { authOf } from './door.ts';

/** `Who`: `Auth`, or `Auth | null` behind `optionalAuth`. What comes after the request is handed on. */
export type Protect<Who, Q extends Request = Request> = <Rest extends readonly unknown[]>(
  handler: (request: Q & { readonly auth: Who }, ...rest: Rest) => Response | Promise<Response>,
) => (request: Q, ...rest: Rest) => Promise<Response>;

/**
 * `export const GET = door.requireAuth()((request) => Response.json({ hello: request.auth.userId }))`. For a framework with a
 * request of its own: `createDoor<NextRequest>(guard)`.
 */
export function createDoor<Q extends Request = Request>(
  guard: Decider,
): Door<Protect<Auth, Q>, Protect<Auth | null, Q>> {
  const wrap =
    (requirement: Requirement): Protect<Auth | null, Q> =>
    (handler) =>
    async (request, ...rest) => {
      const decision = await guard.decide(incomingOfHeaders(request.headers), requirement);
      if (decision.kind === 'refused') return responseOf(decision.answer);
      return handler(Object.assign(request, { auth: decision.auth }), ...rest);
    };
  // Nobody is let through as `null` by a requirement that is not optional.
  return makeDoor(wrap as unknown as (requirement: Requirement) => Protect<Auth, Q>, wrap);
}

/** Several headers of one name are joined here already. */
export const incomingOfHeaders = (headers: Headers): Incoming => ({
  authorization: headers.get('authorization') ?? undefined,
  get requestId() {
    return headers.get('x-request-id') ?? undefined;
  },
});

/** The answer of a refusal as a `Response`. */
export const responseOf = ({ status, headers, body }: Answer): Response => new Response(body, { status, headers });
