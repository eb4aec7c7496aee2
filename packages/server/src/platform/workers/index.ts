/**
 * Several processes of one program: a primary that keeps workers running, and what they say to each other over the channel
 * that Node gives a parent and its child. Workers share one listening port; the primary takes connections and hands them out.
 *
 * - A worker that dies is started again with backoff. One that dies too often within a minute, or that does not start at the
 *   beginning, ends the whole.
 * - What is said between processes is bounded and may be lost: nobody may depend on an answer without a deadline.
 */
export { type Channel, type ChannelPort, createChannel } from './channel.ts';
export { createPrimary, type Primary, readyTopic, stopTopic, type WorkerProcess } from './primary.ts';
export { isRelayed, type Relayed, relayFor, relayTopic } from './relay.ts';
