/** The OpenAPI document of this version, without a service behind it. */
import { createRoutes, describe, type RouteDeps } from './routes.ts';
import { version } from './version.ts';

/** Nothing of it is called: routes are described by their schemas. */
const nobody = new Proxy({}, { get: () => nobody }) as unknown as RouteDeps;

export const openapiText = (): string =>
  JSON.stringify(describe(createRoutes(nobody), version, 'http://localhost:4000'), null, 2);
