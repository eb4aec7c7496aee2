/**
 * SUP-01, SUP-03: what `npm ci` will install. Every package has an integrity hash and comes from the registry that the machine
 * is set up with (no host is written down), none is a git or url dependency, none needs an install script, and each direct
 * dependency has its reason in docs/dependencies.md.
 */
import { projectFiles, readProjectFile, report } from './files.ts';

export interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export type Lockfile = Readonly<Record<string, LockedPackage>>;

/** What the service installs in production, optional binaries of other machines aside. It may shrink. */
const productionPackagesMax = 110;

const exact = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
const range = /^[\^~]?\d+\.\d+\.\d+(-[\w.]+)?$/;

const directOf = (locked: LockedPackage): readonly (readonly [string, string])[] =>
  [locked.dependencies, locked.devDependencies, locked.optionalDependencies].flatMap((of) => Object.entries(of ?? {}));

function packageProblems(path: string, locked: LockedPackage): readonly string[] {
  const problems: string[] = [];
  if (locked.link === true) return problems;
  if (locked.resolved !== undefined) problems.push(`${path}: a source is written down: ${locked.resolved}`);
  if (!/^sha512-[A-Za-z0-9+/]+=*$/.test(locked.integrity ?? '')) problems.push(`${path}: no sha512 integrity`);
  if (!exact.test(locked.version ?? '')) problems.push(`${path}: no exact version`);
  if (locked.hasInstallScript === true) problems.push(`${path}: it needs an install script`);
  return problems;
}

/** `reasons` is the text of docs/dependencies.md. */
export function lockfileProblems(packages: Lockfile, reasons: string): readonly string[] {
  const problems: string[] = [];
  for (const [path, locked] of Object.entries(packages)) {
    if (path.includes('node_modules/')) problems.push(...packageProblems(path, locked));
    else {
      for (const [name, wanted] of directOf(locked)) {
        if (name.startsWith('@auth-service/')) continue;
        if (!range.test(wanted))
          problems.push(`${path === '' ? 'package.json' : path}: ${name} is asked for as ${wanted}`);
        if (!reasons.includes(`\`${name}\``)) problems.push(`docs/dependencies.md: no reason for ${name}`);
      }
    }
  }
  const production = countProduction(packages);
  if (production > productionPackagesMax) {
    problems.push(`${production} packages in production; at most ${productionPackagesMax}`);
  }
  return problems;
}

/** A lockfile that a test installs from, without scripts: hashed packages of the registry, and no source written down. */
export const testLockfileProblems = (path: string, packages: Lockfile): readonly string[] =>
  Object.entries(packages)
    .filter(([name]) => name.includes('node_modules/'))
    .flatMap(([name, { hasInstallScript: _, ...locked }]) => packageProblems(`${path}: ${name}`, locked));

export const countProduction = (packages: Lockfile): number =>
  Object.entries(packages).filter(
    ([path, { dev, link, optional, devOptional }]) =>
      path.includes('node_modules/') && !dev && !link && !optional && !devOptional,
  ).length;

if (import.meta.main) {
  const { packages } = JSON.parse(readProjectFile('package-lock.json')) as { readonly packages: Lockfile };
  const others = projectFiles().filter((path) => /(^|\/)(npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml)$/.test(path));
  const hosts = projectFiles()
    .filter((path) => path.endsWith('.npmrc'))
    .filter((path) => /registry\s*=|_auth/i.test(readProjectFile(path)));
  const ofTests = projectFiles().filter((path) => /^tests\/.+\/package-lock\.json$/.test(path));
  const problems = [
    ...ofTests.flatMap((path) =>
      testLockfileProblems(path, (JSON.parse(readProjectFile(path)) as { readonly packages: Lockfile }).packages),
    ),
    ...lockfileProblems(packages, readProjectFile('docs/dependencies.md')),
    ...others.map((path) => `${path}: one lockfile is enough`),
    ...hosts.map((path) => `${path}: names a registry or a credential`),
  ];
  const ok = report(
    `${Object.keys(packages).length} packages, ${countProduction(packages)} of them in production`,
    problems,
  );
  process.exitCode = ok ? 0 : 1;
}
