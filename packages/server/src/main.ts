/** The program `auth-service`: the process's environment, signals and exit codes. Nothing else touches `process`. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { run } from './program.ts';
import { readTextFile, thisMachine } from './this-machine.ts';

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
  exit: (code) => process.exit(code),
  collectGarbage: () => {
    setFlagsFromString('--expose-gc');
    // A tick that waits keeps the shape of its kind; without one every tick after this is slow for good (an eighth of the throughput).
    process.nextTick(() => undefined);
    runInNewContext('gc')({ type: 'major', flavor: 'last-resort' });
  },
});
