/**
 * Orders, on Nest: `node examples/nest/main.ts`. Node runs TypeScript by taking the types away and has no decorators yet, so they
 * are called here, below; what a compiler makes of the same controller stands above each call.
 */
import 'reflect-metadata';
import { createGuard } from '@auth-service/guard';
import { authOf, createDoor } from '@auth-service/guard/nest';
import { Controller, Delete, Get, HttpCode, Module, Req, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

const guard = createGuard({
  issuer: process.env['AUTH_ISSUER'] ?? 'http://localhost:4000',
  audience: process.env['AUTH_AUDIENCE'] ?? 'auth-service',
  apiKey: process.env['AUTH_API_KEY'],
});
const port = Number(process.env['PORT'] ?? 3000);
await guard.ready();

const door = createDoor(guard);

class Orders {
  list(request: Parameters<typeof authOf>[0]) {
    return { orders: [], for: authOf(request).userId };
  }
  erase(): void {}
  welcome(request: Parameters<typeof authOf>[0]) {
    return `hello ${request.auth?.userId ?? 'stranger'}`;
  }
}

// @Get('orders') @UseGuards(door.requireAuth()) list(@Req() request) { … }
decorate('list', Get('orders'), UseGuards(door.requireAuth()));
// @Delete('orders') @HttpCode(204) @UseGuards(door.requirePermission('orders:delete')) erase() { … }
decorate('erase', Delete('orders'), HttpCode(204), UseGuards(door.requirePermission('orders:delete')));
// @Get() @UseGuards(door.optionalAuth()) welcome(@Req() request) { … }
decorate('welcome', Get(), UseGuards(door.optionalAuth()));
// @Controller() class Orders { … }
Controller()(Orders);

class Application {}
Module({ controllers: [Orders] })(Application);

function decorate(name: keyof Orders, ...decorators: readonly MethodDecorator[]): void {
  Req()(Orders.prototype, name, 0);
  const descriptor = Object.getOwnPropertyDescriptor(Orders.prototype, name) ?? {};
  for (const one of decorators) one(Orders.prototype, name, descriptor);
}

const app = await NestFactory.create(Application, { logger: false });
await app.listen(port, '127.0.0.1');
console.log(`orders on http://localhost:${port}`);

process.once('SIGTERM', () => {
  Promise.all([app.close(), guard.close()]).catch(console.error);
});
