/**
 * Who may import whom. A pure function over source texts, so a test can plant each violation and see it caught.
 *
 * Packages: `console → client → protocol`, `server → guard → protocol`. Rooms of the server stand in groups, and a room enters
 * only its own group and those to its left, by their front doors (`index.ts`), without cycles. ARCHITECTURE.md shows the map.
 */
import { posix } from 'node:path';
import { type Import, readImports } from './imports.ts';

/** From left to right; `cluster` stands aside: it enters `platform` alone. */
export const roomGroups: readonly (readonly string[])[] = [
  ['platform'],
  ['audit', 'cookies', 'rate-limit', 'mail', 'passwords', 'keys', 'idempotency'],
  ['accounts', 'access', 'revocation'],
  ['sessions', 'lockout', 'api-keys'],
  ['tokens'],
  ['mfa', 'passkeys'],
  ['login', 'profile', 'recovery'],
  ['administration'],
  ['operations'],
  ['cli'],
];

const packageEnters: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  guard: ['protocol'],
  client: ['protocol'],
  server: ['guard', 'protocol'],
  console: ['client'],
};

/** Modules of Node without I/O, clock or randomness of their own (the functions that have them are looked for by name). */
const pureModules = ['node:buffer', 'node:crypto', 'node:net', 'node:url', 'node:util'];
const adapter = /\.(local|redis|postgres|ipc)\.ts$/;
/** Programs of their own: worker threads, and scripts that make a file of the room. */
const program = /(^|[.-])(worker|make)\.ts$/;
const testing = /(\.(test|contract)|\/testing)\.ts$/;
const clocks = /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bhrtime\b/;
const randomness = /\brandom(Bytes|UUID|Int|FillSync)\(|\bgetRandomValues\(/;

interface Place {
  readonly path: string;
  readonly package: string;
  /** `login`, `platform/http`, or empty at the top of the package. */
  readonly room: string;
  readonly name: string;
}

interface Edge {
  readonly from: Place;
  readonly to: Place;
  readonly by: Import;
}

function placeOf(path: string): Place | undefined {
  const match = /^packages\/([^/]+)\/src\/(.+)$/.exec(path);
  const [, name = '', rest = ''] = match ?? [];
  if (match === null) return undefined;
  const folders = rest.split('/').slice(0, -1);
  const depth = name === 'server' && folders[0] === 'platform' ? 2 : 1;
  return { path, package: name, room: folders.slice(0, depth).join('/'), name: posix.basename(rest) };
}

const rankOf = (room: string): number => roomGroups.findIndex((group) => group.includes(room.split('/')[0] ?? ''));
const isFrontDoor = (place: Place): boolean => place.path.endsWith(`/src/${place.room}/index.ts`);
const isTop = (place: Place, ...names: readonly string[]): boolean => place.room === '' && names.includes(place.name);
/** The composition roots: the files at the top of the server but for the table of routes and the settings; the guard's one. */
const isComposition = (place: Place): boolean =>
  (place.package === 'server' && place.room === '' && !['routes.ts', 'settings.ts'].includes(place.name)) ||
  (place.package === 'guard' && isTop(place, 'create-guard.ts'));
/** The roots: they put the rooms together, so they may enter all of them. */
const isRoot = (place: Place): boolean => isComposition(place) || place.room === 'cli';

function packageProblem(from: Place, { specifier }: Import): string | undefined {
  const match = /^@auth-service\/([^/]+)(\/.*)?$/.exec(specifier);
  const to = match?.[1];
  if (to !== undefined && !(packageEnters[from.package] ?? []).includes(to))
    return `${from.package} may not import ${to}`;
  if (match?.[2]?.startsWith('/src') === true) return 'a package is entered by its exports, not by its files';
  if (from.package === 'protocol' && specifier.startsWith('node:') && !testing.test(from.path)) {
    return 'protocol has no I/O and runs everywhere: nothing of Node';
  }
  return undefined;
}

function suffixProblem({ from, to, by }: Edge): string | undefined {
  if (from.name.endsWith('.route.ts') && to.name.endsWith('.sql.ts')) {
    return 'a route never imports statements: call a use case';
  }
  if (from.name.endsWith('.rule.ts') && !by.typeOnly && !/\.(rule|data)\.ts$/.test(to.name)) {
    return 'a rule imports types and other rules';
  }
  if (from.name.endsWith('.sql.ts') && !by.typeOnly && to.room !== 'platform/database') {
    return 'statements import platform/database and types';
  }
  if (to.name.endsWith('.route.ts') && !isTop(from, 'routes.ts')) return 'only routes.ts imports routes';
  if (adapter.test(to.name) && !isRoot(from) && !(from.room === to.room && isFrontDoor(from)))
    return 'only the composition root imports adapters';
  return undefined;
}

/** Imports of, or by, the files at the top of the server. */
function topProblem(from: Place, to: Place): string | undefined {
  if (to.room === '') {
    const allowed: Readonly<Record<string, boolean>> = {
      'settings.ts': from.room === '' || from.room === 'cli',
      'service.ts': isTop(from, 'main.ts', 'index.ts') || from.room === 'cli',
      'routes.ts': isTop(from, 'service.ts', 'index.ts') || from.room === 'cli',
      'main.ts': false,
      'index.ts': false,
    };
    return (allowed[to.name] ?? (from.room === '' || from.room === 'cli'))
      ? undefined
      : `a room is handed what it needs: ${to.name} is not imported here`;
  }
  if (isTop(from, 'settings.ts') && !to.room.startsWith('platform/')) return 'settings.ts imports platform alone';
  return undefined;
}

function roomProblem({ from, to }: Edge): string | undefined {
  if (from.room === to.room) return undefined;
  if (from.room === '' || to.room === '') {
    const problem = topProblem(from, to);
    if (problem !== undefined || to.room === '') return problem;
  } else if (to.room === 'cluster' || from.room === 'cluster') {
    if (!isRoot(from) && from.room !== 'operations' && !to.room.startsWith('platform/')) {
      return 'cluster imports platform alone, and only service.ts, operations and cli import it';
    }
  } else if (rankOf(from.room) !== -1 && rankOf(to.room) > rankOf(from.room)) {
    return `${from.room} stands to the left of ${to.room}`;
  }
  const openTo = isFrontDoor(to) || to.name.endsWith('.route.ts') || (adapter.test(to.name) && isRoot(from));
  return openTo ? undefined : `${to.room} is entered by its index.ts`;
}

/** What the core may not do of its own: it is handed clock, randomness and environment. */
function ambientProblems(place: Place, source: string): readonly string[] {
  const runsAlone = place.room === 'cli' || isTop(place, 'main.ts') || program.test(place.name);
  const handed = !place.room.startsWith('platform/') && !runsAlone && !isComposition(place);
  return source.split('\n').flatMap((text, index) => {
    const code = /^\s*(\*|\/\/|\/\*)/.test(text) ? '' : text.replace(/\s\/\/ .*$/, '');
    const at = `${place.path}:${index + 1}: `;
    return [
      ...(!runsAlone && (/\bprocess\.(?!pid\b)[a-z]/.test(code) || code.includes("'node:process'"))
        ? [`${at}only main.ts and cli touch process`]
        : []),
      ...(handed && clocks.test(code) ? [`${at}the clock is a parameter`] : []),
      ...(handed && randomness.test(code) ? [`${at}randomness is a parameter`] : []),
      ...(/\bMath\.random\(/.test(code) ? [`${at}KEY-09: randomness comes from node:crypto`] : []),
    ];
  });
}

function findCycle(edges: readonly Edge[]): readonly string[] {
  const next = new Map<string, Set<string>>();
  for (const { from, to } of edges) {
    if (from.room !== to.room) next.set(from.room, (next.get(from.room) ?? new Set()).add(to.room));
  }
  const done = new Set<string>();
  const walk = (room: string, path: readonly string[]): readonly string[] => {
    if (path.includes(room)) return [...path.slice(path.indexOf(room)), room];
    if (done.has(room)) return [];
    for (const target of next.get(room) ?? []) {
      const cycle = walk(target, [...path, room]);
      if (cycle.length > 0) return cycle;
    }
    done.add(room);
    return [];
  };
  for (const room of next.keys()) {
    const cycle = walk(room, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

function unorderedRooms(places: readonly Place[]): readonly string[] {
  const rooms = [...new Set(places.filter((place) => place.package === 'server').map((place) => place.room))];
  return rooms.flatMap((room) => {
    if (room === '') return [];
    const problems = [];
    if (room !== 'cluster' && rankOf(room) === -1)
      problems.push(`packages/server/src/${room}: this room has no place in the order`);
    if (!places.some((place) => place.room === room && isFrontDoor(place))) {
      problems.push(`packages/server/src/${room}: this room has no front door (index.ts)`);
    }
    return problems;
  });
}

export interface Findings {
  readonly problems: readonly string[];
  readonly files: number;
  readonly imports: number;
  /** Files seen in each room of the server. */
  readonly rooms: ReadonlyMap<string, number>;
}

/** `files` maps paths from the root of the workspace to source texts. */
export function inspect(files: ReadonlyMap<string, string>): Findings {
  const problems: string[] = [];
  const places: Place[] = [];
  const edges: Edge[] = [];
  const rooms = new Map<string, number>();
  let count = 0;
  for (const [path, source] of files) {
    const from = placeOf(path);
    if (from === undefined || !path.endsWith('.ts')) continue;
    places.push(from);
    if (from.package === 'server') rooms.set(from.room, (rooms.get(from.room) ?? 0) + 1);
    const test = testing.test(path);
    const { imports, unread } = readImports(source);
    count += imports.length;
    problems.push(...unread.map((line) => `${path}:${line}: this import could not be read`));
    if (!test) problems.push(...ambientProblems(from, source));
    for (const by of imports) {
      const tell = (problem: string | undefined): void => {
        if (problem !== undefined) problems.push(`${path}:${by.line}: ${problem} ('${by.specifier}')`);
      };
      tell(packageProblem(from, by));
      if (
        from.name.endsWith('.rule.ts') &&
        !by.typeOnly &&
        by.specifier.startsWith('node:') &&
        !pureModules.includes(by.specifier)
      ) {
        tell('a rule is values in, value out');
      }
      if (!by.specifier.startsWith('.')) continue;
      const target = posix.join(posix.dirname(path), by.specifier);
      if (target === `packages/${from.package}/package.json`) continue;
      const to = placeOf(target);
      if (to?.package !== from.package)
        tell(test && target.startsWith('tests/') ? undefined : 'this leaves the package');
      if (test || to === undefined || to.package !== from.package) continue;
      const edge: Edge = { from, to, by };
      edges.push(edge);
      if (testing.test(to.path)) tell('code does not import tests');
      if (from.package === 'server') tell(suffixProblem(edge) ?? roomProblem(edge));
    }
  }
  const cycle = findCycle(edges.filter((edge) => edge.from.package === 'server'));
  if (cycle.length > 0) problems.push(`rooms import each other: ${cycle.join(' → ')}`);
  problems.push(...unorderedRooms(places));
  return { problems, files: places.length, imports: count, rooms };
}
