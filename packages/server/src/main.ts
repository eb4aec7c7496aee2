#!/usr/bin/env node
/** The program `auth-service`: the process's environment, signals and exit codes. Nothing else touches `process`. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { availableParallelism, hostname } from 'node:os';

// Types are stripped and code is compiled once a version, not once a start.
enableCompileCache();

const { run } = await import('./program.ts');

process.exitCode = await run({
  words: process.argv.slice(2),
  environment: process.env,
  workingDirectory: process.cwd(),
  readFile: (path) => readFileSync(path, 'utf8'),
  terminal: { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr },
  machine: {
    hostName: hostname(),
    suffix: randomBytes(3).toString('hex'),
    cores: availableParallelism(),
    isTerminal: process.stdout.isTTY === true,
  },
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
});
