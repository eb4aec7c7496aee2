/**
 * Parts that run for long, kept running: started in order, started again when they end, stopped in reverse, and given up as a
 * whole when they end too often. The words are those of OTP.
 */
export type {
  ChildContext,
  ChildHealth,
  ChildReport,
  ChildSpec,
  ChildState,
  RunningChild,
} from './child.ts';
export { createSupervisor, type Supervisor, type SupervisorOptions } from './supervisor.ts';
