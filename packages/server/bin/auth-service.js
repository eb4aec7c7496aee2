#!/usr/bin/env node
// The program, by way of the compile cache. This one file is JavaScript because the first file of a process is loaded before
// the cache can be on: were it TypeScript, each start would load the compiler for it, 16 MiB and a tenth of a second.
import { enableCompileCache } from 'node:module';

enableCompileCache();
await import('../src/main.ts');
