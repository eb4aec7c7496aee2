/**
 * Anchors: links of the chain, with a MAC under the root secret. Who can write the database alone can make neither: neither a longer
 * or another chain with an anchor at its end, nor a later beginning. What they can do is bring an older anchor back with the
 * older end of the log; that shows beside any anchor kept elsewhere (the service logs them, `audit anchor` prints them).
 */
import type { RootSecret } from '../keys/index.ts';
import type { AnchorKind, AnchorRow } from './anchors.sql.ts';

/** An anchor as it is kept elsewhere. */
export interface ShownAnchor {
  readonly seq: number;
  readonly hash: string;
  readonly at: string;
  readonly mac: string;
}

export interface Anchors {
  make(kind: AnchorKind, link: { readonly seq: number; readonly hash: string }, atMs: number): AnchorRow;
  holds(kind: AnchorKind, anchor: AnchorRow): boolean;
  /** Whether it was made under the root secret that is being replaced. */
  isOld(kind: AnchorKind, anchor: AnchorRow): boolean;
}

/** A shorter one would be told by its first octets. */
const macBytes = 32;

export function createAnchors(root: Pick<RootSecret, 'mac' | 'macMatches'>): Anchors {
  const parts = (kind: AnchorKind, { seq, hash, at }: Pick<AnchorRow, 'seq' | 'hash' | 'at'>) =>
    [kind, String(seq), hash, String(at.getTime())] as const;
  const mac = (kind: AnchorKind, anchor: Pick<AnchorRow, 'seq' | 'hash' | 'at'>): Buffer =>
    root.mac('audit-anchors', ...parts(kind, anchor));
  return {
    make(kind, { seq, hash }, atMs) {
      const anchor = { seq, hash, at: new Date(atMs) };
      return { ...anchor, mac: mac(kind, anchor) };
    },
    holds: (kind, anchor) =>
      anchor.mac.length === macBytes && root.macMatches('audit-anchors', anchor.mac, ...parts(kind, anchor)),
    isOld: (kind, anchor) => !mac(kind, anchor).equals(anchor.mac),
  };
}

export const showAnchor = ({ seq, hash, at, mac }: AnchorRow): ShownAnchor => ({
  seq,
  hash,
  at: at.toISOString(),
  mac: Buffer.from(mac).toString('base64url'),
});

/** From a line of `audit anchor`, or of the log (`audit_anchor`); `undefined` for all else. */
export function readAnchor(line: string): AnchorRow | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const given = isObject(value) && isObject(value['audit_anchor']) ? value['audit_anchor'] : value;
  if (!isObject(given)) return undefined;
  const { seq, hash, at, mac } = given;
  if (typeof seq !== 'number' || typeof hash !== 'string' || typeof at !== 'string' || typeof mac !== 'string')
    return undefined;
  return { seq, hash, at: new Date(at), mac: Buffer.from(mac, 'base64url') };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
