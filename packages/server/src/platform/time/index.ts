/** Time as parameters: a clock to read and timers to wait with, the machine's own or one that a test moves by hand. */
export { type Clock, systemClock } from './clock.ts';
export { createManualClock, type ManualClock } from './manual-clock.ts';
export { createStoreClock, type StoreClock } from './store-clock.ts';
export { systemTimers, type Timers } from './timers.ts';
