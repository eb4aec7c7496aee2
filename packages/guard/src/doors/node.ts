/** The door of bare `node:http`, and what the doors of frameworks on top of it share. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer } from './answer.ts';
import type { Auth, Decision, Incoming } from './decide.ts';
import { type Decider, type Door, makeDoor } from './door.ts';
import type { Requirement } from './requirement.ts';

export { authOf } from './door.ts';

/** `Who`: `Auth`, or `Auth | null` behind `optionalAuth`. */
export type Protect<Who> = <Q extends IncomingMessage, S extends ServerResponse>(
  handler: (request: Q & { readonly auth: Who }, response: S) => unknown,
) => (request: Q, response: S) => void;

/**
 * `createServer(door.requireAuth()((request, response) => …))`. A handler that fails is answered with an empty 500 where
 * nothing was sent yet, and told to `onError`.
 */
export function createDoor(
  guard: Decider,
  options: { readonly onError?: (error: unknown) => void } = {},
): Door<Protect<Auth>, Protect<Auth | null>> {
  const { onError = () => undefined } = options;
  const wrap =
    (requirement: Requirement): Protect<Auth | null> =>
    (handler) =>
    (request, response) => {
      const settle = (decision: Decision): unknown => {
        if (decision.kind === 'refused') return send(response, decision.answer);
        return handler(Object.assign(request, { auth: decision.auth }), response);
      };
      const fail = (error: unknown): void => {
        onError(error);
        if (!response.headersSent) response.writeHead(500);
        response.end();
      };
      run(() => guard.decide(incomingOf(request), requirement), settle, fail);
    };
  // Nobody is let through as `null` by a requirement that is not optional.
  return makeDoor(wrap as unknown as (requirement: Requirement) => Protect<Auth>, wrap);
}

/** Waits only where there is something to wait for. */
function run(decide: () => Decision | Promise<Decision>, settle: (d: Decision) => unknown, fail: (e: unknown) => void) {
  try {
    const decision = decide();
    const settled = decision instanceof Promise ? decision.then(settle) : settle(decision);
    if (settled instanceof Promise) settled.catch(fail);
  } catch (error) {
    fail(error);
  }
}

/** What of a message counts. */
export const incomingOf = (request: IncomingMessage): Incoming => new NodeIncoming(request);

/** A class, so that a request costs one small object, and its id is looked for only where somebody is refused. */
class NodeIncoming implements Incoming {
  readonly authorization: string | undefined;
  readonly #request: IncomingMessage;

  constructor(request: IncomingMessage) {
    this.authorization = authorizationOf(request);
    this.#request = request;
  }

  get requestId(): string | undefined {
    const sent = this.#request.headers['x-request-id'];
    return typeof sent === 'string' ? sent : undefined;
  }
}

/** All `Authorization` headers of the message: `headers` keeps the first and forgets the others. */
function authorizationOf({ headers, rawHeaders }: IncomingMessage): string | undefined {
  let { authorization } = headers;
  let seen = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.length !== 13 || !isAuthorization(name)) continue;
    seen += 1;
    if (seen > 1) authorization += `, ${rawHeaders[at + 1] ?? ''}`;
  }
  return authorization;
}

/** As nearly everybody writes it first: lower case is a text of its own. */
const isAuthorization = (name: string): boolean =>
  name === 'Authorization' || name === 'authorization' || name.toLowerCase() === 'authorization';

/** Writes the answer of a refusal, whole. */
export function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}
