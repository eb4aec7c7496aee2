/**
 * Operations: health, status, metrics, the API's own description.
 *
 * - `/health` answers what is away and what that means; `/health/ready` is 503 while starting, closing or not fresh.
 * - `/metrics` and `/cluster/status` answer loopback and private peers, or who presents their token.
 */

export { createHealth, type Health, type HealthReport } from './health.ts';
export { createOperationsGuard, type OperationsGuard } from './operations-guard.ts';
