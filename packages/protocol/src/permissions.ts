/** Permissions are `resource:action`; `*` stands for any value of its part. */

const shape = /^(?:\*|[a-z][a-z0-9_.-]{0,63}):(?:\*|[a-z][a-z0-9_.-]{0,63})$/;

/** Whether `text` has the form of a permission: lower case, `*` allowed per part, at most 64 characters a part. */
export const isPermission = (text: string): boolean => shape.test(text);

/** Whether `granted` covers the one permission `wanted` (which may itself contain `*`: then only `*` covers it). */
export function covers(granted: string, wanted: string): boolean {
  if (granted === wanted) return granted.includes(':');
  // Of different texts one covers the other only by a star. This is asked with each request: most pairs end here.
  return granted.includes('*') && coversByStar(granted, wanted);
}

function coversByStar(granted: string, wanted: string): boolean {
  const grantedColon = granted.indexOf(':');
  const wantedColon = wanted.indexOf(':');
  if (grantedColon === -1 || wantedColon === -1) return false;
  const resource = granted.slice(0, grantedColon);
  const action = granted.slice(grantedColon + 1);
  return (
    (resource === '*' || resource === wanted.slice(0, wantedColon)) &&
    (action === '*' || action === wanted.slice(wantedColon + 1))
  );
}

/** Whether every one of `wanted` is covered by one of `granted`. */
export const coversAll = (granted: readonly string[], wanted: readonly string[]): boolean =>
  wanted.every((permission) => granted.some((one) => covers(one, permission)));

/** What both cover: of each pair the part that is the narrower, and nothing that another of them covers already. */
export function intersect(one: readonly string[], other: readonly string[]): readonly string[] {
  const common = new Set<string>();
  for (const left of one) {
    for (const right of other) {
      const [leftResource = '', leftAction = ''] = left.split(':', 2);
      const [rightResource = '', rightAction = ''] = right.split(':', 2);
      const resource = narrower(leftResource, rightResource);
      const action = narrower(leftAction, rightAction);
      if (resource !== undefined && action !== undefined) common.add(`${resource}:${action}`);
    }
  }
  const all = [...common];
  return all.filter((permission) => !all.some((wider) => wider !== permission && covers(wider, permission))).toSorted();
}

function narrower(left: string, right: string): string | undefined {
  if (left === right || right === '*') return left;
  return left === '*' ? right : undefined;
}
