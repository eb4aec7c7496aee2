/**
 * A way by which nodes send each other short texts: the mesh, Redis, or the channel between workers. What arrives may be late,
 * doubled or missing; it is never from somebody without the cluster's secret, or without access to what the nodes share.
 * Texts are of at most 64 KiB. A transport never throws at its caller, never makes it wait, and holds a bounded amount: what
 * does not fit is dropped.
 */
export interface HintTransport {
  readonly name: 'mesh' | 'redis' | 'ipc';
  /** `from`: the sender's incarnation, or what it claims to be where the way does not prove it. Own messages may come back. */
  start(onMessage: (from: string, text: string) => void): Promise<void>;
  broadcast(text: string): void;
  /** To one node, or to all where the way cannot aim. */
  sendTo(incarnation: string, text: string): void;
  stop(): Promise<void>;
}
