/** A service of somebody else, as they would write it: compiled against the packed types, never run. */
import { type Auth, bounded, createGuard } from '@auth-service/guard';
import { authOf, createDoor as forExpress } from '@auth-service/guard/express';
import { createDoor as forFastify } from '@auth-service/guard/fastify';
import { createDoor as forHono } from '@auth-service/guard/hono';
import { createDoor as forNest } from '@auth-service/guard/nest';
import { createDoor as forNode } from '@auth-service/guard/node';
import { createDoor as forWeb } from '@auth-service/guard/web';
import { type AccessTokenClaims, type ErrorCode, errorTable } from '@auth-service/protocol';
import { UseGuards } from '@nestjs/common';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';

const guard = createGuard({ issuer: 'https://auth.example.org', audience: 'orders', apiKey: 'ask_x' });
export const isReady = (): boolean => guard.isFresh();
export const statusOf = (code: ErrorCode): number => errorTable[code].status;
export const ageOf = (claims: AccessTokenClaims, now: number): number => now - claims.auth_time;

export const GET = forWeb(guard).requireAuth()((request) => Response.json(request.auth.userId.length));
// @ts-expect-error strangers have no id
export const open = forWeb(guard).optionalAuth()((request) => Response.json(request.auth.userId));
export const listener = forNode(guard).requireFresh({ maxAge: 60 })((request, response) =>
  response.end(request.auth.userId),
);
express().get('/', forExpress(guard).requireRole('clerk'), (request, response) => {
  const id: string | undefined = request.auth?.userId;
  const auth: Auth = authOf(request);
  // @ts-expect-error nobody may have passed a door
  response.send(id ?? request.auth.userId ?? auth.userId);
});
Fastify().get('/', { onRequest: forFastify(guard).requirePermission('orders:read') }, async (request) => {
  const permissions: readonly string[] | undefined = request.auth?.permissions;
  return permissions;
});
new Hono().get('/', forHono(guard).requireAuth({ freshness: bounded(2) }), (c) => c.text(c.var.auth.userId));
// @ts-expect-error strangers have no id
new Hono().get('/', forHono(guard).optionalAuth(), (c) => c.text(c.var.auth.userId));
export const protect: ClassDecorator & MethodDecorator = UseGuards(forNest(guard).requirePermission('orders:read'));
// @ts-expect-error neither age nor strength
forNode(guard).requireFresh({});
// @ts-expect-error there is no such requirement
forNode(guard).requireAuth({ role: 'clerk' });
// @ts-expect-error there is no such code
statusOf('teapot');
