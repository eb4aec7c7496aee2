/** The hint bus: what nodes tell each other about revocations, over every way there is at once. */
import type { HintTransport } from './transport.ts';

export interface HintBus {
  /** Starts a way and takes it into use, beside those that are in use. Rejects with what its start rejected with. */
  attach(transport: HintTransport): Promise<{ detach(): Promise<void> }>;
}
