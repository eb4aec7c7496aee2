/** The door of Nest, on Express or Fastify: guards for `@UseGuards(…)` that set `request.auth`, or throw an `HttpException`. */
import type { IncomingMessage } from 'node:http';
import { type CanActivate, type ExecutionContext, HttpException } from '@nestjs/common';
import type { Auth, Decision } from './decide.ts';
import { type Decider, type Door, makeDoor } from './door.ts';
import { incomingOf } from './node.ts';
import type { Requirement } from './requirement.ts';

export { authOf } from './door.ts';

/** A request of Fastify has the message as `raw`; one of Express is it. */
type NestRequest = (IncomingMessage | { readonly raw: IncomingMessage }) & { auth?: Auth | null };
/** Both have it, under this name. */
interface NestResponse {
  header(name: string, value: string): unknown;
}

/** `@UseGuards(door.requirePermission('orders:read'))` on a controller or a handler. */
export function createDoor(guard: Decider): Door<CanActivate> {
  const guardOf = (requirement: Requirement): CanActivate => ({
    canActivate(context: ExecutionContext) {
      const http = context.switchToHttp();
      const request = http.getRequest<NestRequest>();
      const settle = (decision: Decision): true => {
        if (decision.kind === 'refused') throw exceptionOf(decision, http.getResponse<NestResponse>());
        request.auth = decision.auth;
        return true;
      };
      const decision = guard.decide(incomingOf('raw' in request ? request.raw : request), requirement);
      return decision instanceof Promise ? decision.then(settle) : settle(decision);
    },
  });
  return makeDoor(guardOf, guardOf);
}

/** The application's exception filters see it like any other; its headers are on the response already. */
function exceptionOf({ answer }: Extract<Decision, { kind: 'refused' }>, response: NestResponse): HttpException {
  for (const [name, value] of Object.entries(answer.headers)) response.header(name, value);
  return new HttpException(JSON.parse(answer.body) as Record<string, unknown>, answer.status);
}
