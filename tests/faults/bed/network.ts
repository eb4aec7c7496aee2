/**
 * Machines of the bed: one network namespace each, with two cards. `data` (10.9.0.x) is what nodes and stores talk over and
 * what faults cut; `front` (10.9.1.x) is what clients come by, so that a node that is cut off can still be asked what it
 * answers. Everything lives in the namespaces of the bed's own process and goes with it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface Host {
  readonly name: string;
  /** What the others of the bed know it by. */
  readonly address: string;
  /** What clients know it by. */
  readonly front: string;
  /** Words before a command that is to run there; the process keeps its id. */
  readonly enter: readonly string[];
}

/** `drop`: silence. `reject`: each TCP packet is answered by a reset. */
export type CutKind = 'drop' | 'reject';

export interface Redirect {
  readonly address: string;
  readonly port: number;
  readonly toAddress: string;
  readonly toPort: number;
}

export interface Network {
  add(name: string, number: number): Host;
  /** Packets of `from` no longer arrive at `to`. One way. */
  cut(from: Host, to: Host, kind: CutKind): void;
  cutBoth(one: Host, other: Host, kind: CutKind): void;
  /** The connections that these two have now go silent for ever; new ones work: a middlebox has forgotten them. */
  forget(one: Host, other: Host): number;
  /** Takes all cuts back. */
  heal(): void;
  link(host: Host, state: 'down' | 'up'): void;
  /** New connections of `host` to these places go elsewhere. */
  redirect(host: Host, redirects: readonly Redirect[]): void;
  /** Runs a program there; what it writes goes to the file. */
  spawn(host: Host, command: readonly string[], options: SpawnOptions): ChildProcess;
}

export interface SpawnOptions {
  readonly log: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

interface Cut {
  readonly from: string;
  readonly to: Host;
  readonly kind: CutKind;
}

/** Address of the load generator and checker, on both networks. */
const ownNumber = 254;

export function createNetwork(): Network {
  let cuts: Cut[] = [];
  const forgotten = new Map<string, Set<string>>();
  const hosts: Host[] = [];
  ip(['link set lo up']);
  for (const [bridge, net] of [
    ['data', 0],
    ['front', 1],
  ] as const) {
    ip([
      `link add ${bridge} type bridge`,
      `link set ${bridge} up`,
      `addr add 10.9.${net}.${ownNumber}/24 dev ${bridge}`,
    ]);
  }

  function apply(to: Host): void {
    const verdict = (kind: CutKind): string => (kind === 'drop' ? 'drop' : 'meta l4proto tcp reject with tcp reset');
    const rules = cuts.filter((cut) => cut.to === to).map((cut) => `ip saddr ${cut.from} ${verdict(cut.kind)}`);
    const ports = [...(forgotten.get(to.name) ?? [])];
    if (ports.length > 0) rules.push(`ip saddr . tcp sport . tcp dport { ${ports.join(', ')} } drop`);
    nft(to, `table ip faults\ndelete table ip faults\n${table('faults', 'in', 'filter hook input priority 0', rules)}`);
  }

  const cut = (from: Host, to: Host, kind: CutKind): void => {
    cuts.push({ from: from.address, to, kind });
    apply(to);
  };

  return {
    add(name, number) {
      const host: Host = {
        name,
        address: `10.9.0.${number}`,
        front: `10.9.1.${number}`,
        enter: ['nsenter', `--net=/run/netns/${name}`, '--'],
      };
      ip([`netns add ${name}`]);
      for (const [card, net] of [
        ['data', 0],
        ['front', 1],
      ] as const) {
        const outside = `${name}-${card}`;
        ip([`link add ${outside} type veth peer name ${card} netns ${name}`, `link set ${outside} master ${card} up`]);
        ip([`addr add 10.9.${net}.${number}/24 dev ${card}`, `link set ${card} up`], name);
      }
      ip(['link set lo up'], name);
      hosts.push(host);
      return host;
    },
    cut,
    cutBoth(one, other, kind) {
      cut(one, other, kind);
      cut(other, one, kind);
    },
    forget(one, other) {
      const [file, ...args] = [...one.enter, 'ss', '-Htn', 'state', 'established', 'dst', other.address];
      const lines = execFileSync(file, args, { encoding: 'utf8' }).trim().split('\n').filter(Boolean);
      for (const line of lines) {
        const [near = '', far = ''] = line.trim().split(/\s+/).slice(2);
        const [nearPort, farPort] = [near.split(':').at(-1), far.split(':').at(-1)];
        add(forgotten, one.name, `${other.address} . ${farPort} . ${nearPort}`);
        add(forgotten, other.name, `${one.address} . ${nearPort} . ${farPort}`);
      }
      apply(one);
      apply(other);
      return lines.length;
    },
    heal() {
      cuts = [];
      forgotten.clear();
      for (const host of hosts) apply(host);
    },
    link(host, state) {
      ip([`link set data ${state}`], host.name);
    },
    redirect(host, redirects) {
      const rules = redirects.map(
        (one) => `ip daddr ${one.address} tcp dport ${one.port} dnat to ${one.toAddress}:${one.toPort}`,
      );
      nft(host, table('detour', 'out', 'nat hook output priority -100', rules));
    },
    spawn(host, command, options) {
      const log = openSync(options.log, 'a');
      const [file = '', ...args] = [...host.enter, ...command];
      const child = spawn(file, args, {
        cwd: options.cwd ?? '/',
        env: { ...inherited(), ...options.env },
        stdio: ['ignore', log, log],
      });
      closeSync(log);
      return child;
    },
  };
}

/** The mark is that of the test run: what it finds running afterwards was left behind. */
function inherited(): Record<string, string> {
  const names = ['PATH', 'TMPDIR', 'AUTH_SERVICE_TEST_RUN'];
  return Object.fromEntries(names.map((name) => [name, process.env[name] ?? '']));
}

const table = (name: string, chain: string, type: string, rules: readonly string[]): string =>
  `table ip ${name} {\nchain ${chain} {\ntype ${type};\n${rules.join('\n')}\n}\n}\n`;

function add(map: Map<string, Set<string>>, key: string, value: string): void {
  map.set(key, (map.get(key) ?? new Set()).add(value));
}

function ip(commands: readonly string[], namespace?: string): void {
  const where = namespace === undefined ? [] : ['-n', namespace];
  execFileSync('ip', [...where, '-batch', '-'], {
    input: `${commands.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
}

function nft(host: Host, script: string): void {
  const [file, ...args] = [...host.enter, 'nft', '-f', '-'];
  execFileSync(file, args, { input: script, stdio: ['pipe', 'ignore', 'pipe'] });
}
