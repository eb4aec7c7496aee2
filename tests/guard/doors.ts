/**
 * The same small service behind each door, in its real framework, listening on loopback: each route is one requirement, and
 * answers who called. What each framework makes of a request is part of what is tested.
 */
import 'reflect-metadata';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Auth, bounded, type Decider } from '@auth-service/guard';
import { createDoor as createExpressDoor } from '@auth-service/guard/express';
import { createDoor as createFastifyDoor } from '@auth-service/guard/fastify';
import { createDoor as createHonoDoor } from '@auth-service/guard/hono';
import { createDoor as createNestDoor } from '@auth-service/guard/nest';
import { createDoor as createNodeDoor } from '@auth-service/guard/node';
import { createDoor as createWebDoor } from '@auth-service/guard/web';
import { serve } from '@hono/node-server';
import { type CanActivate, Controller, Get, Module, Req, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import type { Door } from '../../packages/guard/src/doors/door.ts';

export interface GuardedService {
  readonly url: string;
  close(): Promise<void>;
}

/** One line a route: what it requires. */
function requirements<Required, Optional>(door: Door<Required, Optional>) {
  return {
    '/open': door.optionalAuth(),
    '/private': door.requireAuth(),
    '/role': door.requireRole(['clerk', 'manager']),
    '/permission': door.requirePermission(['orders:read', 'orders:write']),
    '/recent': door.requireFresh({ maxAge: 600 }),
    '/strong': door.requireFresh({ maxAge: 600, acr: 'aal2' }),
    '/all': door.requireAuth({ roles: ['clerk'], permissions: ['orders:read'], acr: 'aal2' }),
    '/two-seconds': door.requireAuth({ freshness: bounded(2) }),
    '/best-effort': door.requireAuth({ freshness: 'best-effort' }),
    '/strict': door.requireAuth({ freshness: 'strict' }),
  };
}

const told = (auth: Auth | null | undefined) => ({
  user: auth?.userId ?? null,
  session: auth?.sessionId ?? null,
  permissions: auth?.permissions ?? null,
  stale: auth?.stale ?? null,
});

async function listening(server: Server): Promise<GuardedService> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function startNode(guard: Decider): Promise<GuardedService> {
  const { '/open': open, ...required } = requirements(createNodeDoor(guard));
  const routes = new Map(
    Object.entries(required).map(([path, protect]) => [
      path,
      protect((request, response) => response.end(JSON.stringify(told(request.auth)))),
    ]),
  );
  routes.set(
    '/open',
    open((request, response) => response.end(JSON.stringify(told(request.auth)))),
  );
  return listening(createServer((request, response) => routes.get(pathOf(request.url))?.(request, response)));
}

const pathOf = (url: string | undefined): string => new URL(url ?? '/', 'http://localhost').pathname;

async function startExpress(guard: Decider): Promise<GuardedService> {
  const app = express();
  for (const [path, middleware] of Object.entries(requirements(createExpressDoor(guard)))) {
    app.get(path, middleware, (request, response) => {
      response.json(told(request.auth));
    });
  }
  return listening(createServer(app));
}

async function startFastify(guard: Decider): Promise<GuardedService> {
  const app = Fastify();
  for (const [path, onRequest] of Object.entries(requirements(createFastifyDoor(guard)))) {
    app.get(path, { onRequest }, async (request) => told(request.auth));
  }
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, close: () => app.close() };
}

async function startHono(guard: Decider): Promise<GuardedService> {
  const app = new Hono();
  const { '/open': open, ...required } = requirements(createHonoDoor(guard));
  app.get('/open', open, (c) => c.json(told(c.var.auth)));
  for (const [path, middleware] of Object.entries(required)) app.get(path, middleware, (c) => c.json(told(c.var.auth)));
  return serveFetch(app.fetch);
}

async function startWeb(guard: Decider): Promise<GuardedService> {
  const { '/open': open, ...required } = requirements(createWebDoor(guard));
  const routes = new Map<string, (request: Request) => Promise<Response>>(
    Object.entries(required).map(([path, protect]) => [path, protect((request) => Response.json(told(request.auth)))]),
  );
  routes.set(
    '/open',
    open((request) => Response.json(told(request.auth))),
  );
  return serveFetch(
    async (request) => (await routes.get(pathOf(request.url))?.(request)) ?? new Response(null, { status: 404 }),
  );
}

async function serveFetch(fetch: (request: Request) => Response | Promise<Response>): Promise<GuardedService> {
  let server: Server | undefined;
  const port = await new Promise<number>((resolve) => {
    server = serve({ fetch, port: 0, hostname: '127.0.0.1' }, (info) => resolve(info.port)) as Server;
  });
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server?.closeAllConnections();
      await new Promise((resolve) => server?.close(resolve));
    },
  };
}

/** Nest's decorators are functions: called, where a compiler would have written the call. */
function nestModule(guard: Decider): new () => object {
  class Routes {}
  const { prototype } = Routes;
  for (const [path, activate] of Object.entries(requirements(createNestDoor(guard)))) {
    const value = (request: { auth?: Auth | null }) => told(request.auth);
    const descriptor = { value, configurable: true, writable: true, enumerable: true };
    Object.defineProperty(prototype, path, descriptor);
    Get(path)(prototype, path, descriptor);
    UseGuards(activate as CanActivate)(prototype, path, descriptor);
    Req()(prototype, path, 0);
  }
  Controller()(Routes);
  class Application {}
  Module({ controllers: [Routes] })(Application);
  return Application;
}

async function startNest(guard: Decider, adapter: ExpressAdapter | FastifyAdapter): Promise<GuardedService> {
  const app = await NestFactory.create(nestModule(guard), adapter, { logger: false });
  await app.listen(0, '127.0.0.1');
  return { url: (await app.getUrl()).replace('[::1]', '127.0.0.1'), close: () => app.close() };
}

export const doors: Readonly<Record<string, (guard: Decider) => Promise<GuardedService>>> = {
  node: startNode,
  express: startExpress,
  fastify: startFastify,
  hono: startHono,
  web: startWeb,
  'nest on Express': (guard) => startNest(guard, new ExpressAdapter()),
  'nest on Fastify': (guard) => startNest(guard, new FastifyAdapter()),
};
