/**
 * How nodes find each other beside the database that they share. Discovery only adds: an answer that is empty or does not
 * come takes nobody away, since a peer goes by what is heard of it. It tells addresses; who is really there, and holds the
 * secret, the mesh finds out.
 */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

export interface Discovery {
  /** Resolves once it looks; not once it has found. Rejects only for what no later look can mend. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface DiscoveryListeners {
  /** What was seen this time; addresses that were told before may come again. */
  readonly onFound: (peers: readonly PeerAddress[]) => void;
  /** When it begins or ceases to work, for one log line each. `reason` is for operators and holds no secret. */
  readonly onState: (state: 'working' | 'failing', reason: string) => void;
}
