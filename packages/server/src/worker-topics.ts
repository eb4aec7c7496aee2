/** What workers and their primary say to each other, beside what `platform/workers` does. */

/** Primary: not ready from now on, though everything is still answered. */
export const beginClosingTopic = 'begin-closing';
/** Worker: somebody asked whether it is ready; `[peer, ready]`. */
export const probedTopic = 'probed';
/** Worker: it was sent SIGTERM. */
export const signalledTopic = 'signalled';
/** Worker: one from a rate limit, `[policy, key, cost]`; answered with the result. */
export const takeTopic = 'take';
/** Worker: the figures of all workers; answered with a list of `{ worker, text }`. Primary: this worker's figures. */
export const figuresTopic = 'figures';
