/** The `traceparent` header (W3C Trace Context, level 1): which trace a request belongs to. */

export interface TraceParent {
  readonly traceId: string;
  readonly parentId: string;
  readonly sampled: boolean;
}

/** What was sent, or `undefined` when it is not of the form that the standard asks for: then a trace begins here. */
export function parseTraceparent(header: string | undefined): TraceParent | undefined {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header ?? '');
  const [, version = '', traceId = '', parentId = '', flags = '', rest] = match ?? [];
  if (match === null || version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
