/**
 * Whether a request that a browser sends with its cookies may count as its user's will (Fetch Metadata; Fetch, `Origin`).
 *
 * What changes something needs proof: the page is of this origin by `Sec-Fetch-Site`, or of a listed one by `Origin`. What
 * reads may come without both, as programs send it, but not from a page that is known to be somebody else's.
 */

export interface Coming {
  readonly method: string;
  readonly origin: string | undefined;
  /** `Sec-Fetch-Site`. */
  readonly site: string | undefined;
}

const readOnly: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** `allowed`: exact origins, the service's own among them. */
export function isOfOwnPage({ method, origin, site }: Coming, allowed: ReadonlySet<string>): boolean {
  // A page without an origin (a sandbox, a file) is nobody's.
  if (origin === 'null') return false;
  if (origin !== undefined && allowed.has(origin)) return true;
  if (site === 'same-origin') return true;
  return readOnly.has(method) && origin === undefined && (site === undefined || site === 'none');
}
