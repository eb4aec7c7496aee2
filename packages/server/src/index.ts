/** For host applications: the whole service as a Fastify plugin or a plain `(req, res)` handler. See examples/embedded. */
export { createLog, type Log } from './platform/log/index.ts';
export { createService, type Service, type ServiceOptions } from './service.ts';
export type { Settings } from './settings.ts';
export { readSettings, SettingsInvalid } from './this-machine.ts';
export { version } from './version.ts';
