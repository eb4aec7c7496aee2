/** The program `auth-service`: the process's environment, signals, exit codes and workers. Nothing else touches `process`. */
import cluster from 'node:cluster';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type ParentProcess, type ProgramHost, run } from './program.ts';
import { readTextFile, thisMachine } from './this-machine.ts';

/** How a worker knows its place; regarded in workers alone. */
const placeVariable = 'AUTH_SERVICE_WORKER_PLACE';

process.exitCode = await run({
  words: process.argv.slice(2),
  environment: process.env,
  workingDirectory: process.cwd(),
  readFile: readTextFile,
  terminal: { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr },
  machine: thisMachine({ isTerminal: process.stdout.isTTY === true }),
  monotonicMs: () => performance.now(),
  uptimeMs: () => process.uptime() * 1_000,
  onSignal: (listener) => {
    process.on('SIGTERM', () => listener('SIGTERM'));
    process.on('SIGINT', () => listener('SIGINT'));
    // A terminal that closes ends its service as well.
    process.on('SIGHUP', () => listener('SIGHUP'));
  },
  onFailure: (listener) => {
    process.on('uncaughtException', (error) => listener(error));
    process.on('unhandledRejection', (error) => listener(error));
  },
  onReplace: (listener) => {
    process.on('SIGUSR2', listener);
  },
  exit: (code) => process.exit(code),
  collectGarbage: () => {
    setFlagsFromString('--expose-gc');
    // A tick that waits keeps the shape of its kind; without one every tick after this is slow for good (an eighth of the throughput).
    process.nextTick(() => undefined);
    runInNewContext('gc')({ type: 'major', flavor: 'last-resort' });
  },
  ...(cluster.isPrimary ? { fork } : { parent: parent() }),
});

/** Connections are handed out in turn, whatever `NODE_CLUSTER_SCHED_POLICY` says (docs/decisions). */
function fork(...[{ place, restarts }, environment]: Parameters<NonNullable<ProgramHost['fork']>>) {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const worker = cluster.fork({ ...environment, [placeVariable]: `${place}/${restarts}` });
  const child = worker.process;
  // One that is gone is told of by its exit.
  child.on('error', () => undefined);
  return {
    pid: child.pid,
    send: (message: unknown, done: () => void) => {
      if (child.connected) child.send(message as object, done);
    },
    onMessage: (listener: (message: unknown) => void) => {
      child.on('message', listener);
    },
    onExit: (listener: (code: number | null, signal: string | null) => void) => {
      child.once('exit', listener);
    },
    kill: () => {
      child.kill('SIGKILL');
    },
  };
}

function parent(): ParentProcess {
  const [place = 1, restarts = 0] = (process.env[placeVariable] ?? '').split('/').map(Number);
  return {
    place,
    restarts,
    send: (message, done) => {
      if (process.connected) process.send?.(message, undefined, undefined, done);
    },
    onMessage: (listener) => {
      process.on('message', listener);
    },
    onGone: (listener) => {
      const own = cluster.worker;
      own?.on('disconnect', () => {
        // Without this Node ends the worker at once, in the middle of what it does.
        own.exitedAfterDisconnect = true;
        listener();
      });
    },
  };
}
