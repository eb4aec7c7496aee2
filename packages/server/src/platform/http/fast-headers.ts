/**
 * One pass over the raw headers of a request for a fast path. Node makes its `headers` object only when somebody asks for it,
 * and making it costs as much as everything else that a fast path does; so the fast path does not ask.
 */

export interface FastHeaders {
  readonly contentLength: number;
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
  /** A proxy says how the client came; whether it is believed is asked elsewhere. */
  readonly isForwarded: boolean;
}

type Kind = 'once' | 'type' | 'length' | 'id' | 'trace' | 'proxy' | 'full';

/** What a header is to a fast path; names that are not here are nobody's business. */
const named: readonly (readonly [string, Kind])[] = [
  ['host', 'once'],
  ['authorization', 'once'],
  ['content-type', 'type'],
  ['content-length', 'length'],
  ['x-request-id', 'id'],
  ['traceparent', 'trace'],
  ['x-forwarded-proto', 'proxy'],
  // What changes the body's form or what the answer carries is the full path's business.
  ['content-encoding', 'full'],
  ['transfer-encoding', 'full'],
  ['expect', 'full'],
  ['origin', 'full'],
  ['upgrade', 'full'],
];
/** `Content-Type` beside `content-type`: as they come nearly always, found without another text being made. */
const capitalised = (name: string): string => name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase());
const kinds: ReadonlyMap<string, Kind> = new Map([
  ...named,
  ...named.map(([name, kind]) => [capitalised(name), kind] as const),
]);
const relevantLengths = new Set(named.map(([name]) => name.length));
const plainLength = /^[1-9]\d{0,8}$/;

/** `undefined` for everything that is not a plain JSON request: each header once, and none that asks for more. */
export function readFastHeaders(raw: readonly string[], countMax: number): FastHeaders | undefined {
  if (raw.length > countMax * 2) return undefined;
  let hosts = 0;
  let credentials = 0;
  let isJson = false;
  let contentLength = -1;
  let requestId: string | undefined;
  let traceparent: string | undefined;
  let isForwarded = false;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    if (!relevantLengths.has(name.length)) continue;
    const kind = kinds.get(name) ?? kinds.get(name.toLowerCase());
    if (kind === undefined) continue;
    const value = raw[at + 1] ?? '';
    if (kind === 'once') {
      if (name.length === 4) hosts += 1;
      else credentials += 1;
    } else if (kind === 'type') {
      if (isJson || value !== 'application/json') return undefined;
      isJson = true;
    } else if (kind === 'length') {
      if (contentLength !== -1 || !plainLength.test(value)) return undefined;
      contentLength = Number(value);
    } else if (kind === 'id') {
      if (requestId !== undefined) return undefined;
      requestId = value;
    } else if (kind === 'trace') traceparent = value;
    else if (kind === 'proxy') isForwarded = true;
    else return undefined;
  }
  if (hosts !== 1 || credentials > 1 || !isJson || contentLength === -1) return undefined;
  return { contentLength, requestId, traceparent, isForwarded };
}
