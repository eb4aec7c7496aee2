/**
 * The thread in which the embedded store lives: it executes synchronously, so it must not share a thread with requests.
 *
 * Guarantees: an answer leaves after the flushes that belong to it; a half-made store is never found, because it is made
 * beside its place and renamed into it.
 *
 * In: the client's messages as bytes, or `close`. Out: `ready`, the answers as bytes, or `closed`.
 */
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { PGlite } from '@electric-sql/pglite';
import { type FlushCount, startStore } from './embedded-store.ts';
import { syncFolder, unpackTemplate } from './template.ts';

export interface EmbeddedWorkerData {
  readonly dataDir: string;
  readonly flushes: FlushCount;
}

export type EmbeddedWorkerMessage =
  | { readonly kind: 'ready'; readonly warning?: string }
  | { readonly kind: 'closed' }
  | Uint8Array<ArrayBuffer>;

async function openStore(dataDir: string, flushes: FlushCount): Promise<{ store: PGlite; warning?: string }> {
  const place = join(dataDir, 'store');
  const untried = join(place, 'untried');
  if (!existsSync(place)) {
    await rm(join(dataDir, 'store.new'), { recursive: true, force: true });
    try {
      await unpackTemplate(join(dataDir, 'store.new'), { untried: '' });
      await putInPlace(dataDir);
    } catch (failure) {
      return { store: await makeStore(dataDir, flushes), warning: unusable(failure) };
    }
  }
  if (!existsSync(untried)) return { store: await startStore(place, flushes) };
  // Nothing was ever answered from a store with this mark, so it may be thrown away: a template of another version.
  try {
    const store = await startStore(place, flushes);
    await rm(untried);
    await syncFolder(place);
    return { store };
  } catch (failure) {
    await rm(place, { recursive: true });
    return { store: await makeStore(dataDir, flushes), warning: unusable(failure) };
  }
}

async function makeStore(dataDir: string, flushes: FlushCount): Promise<PGlite> {
  const beside = join(dataDir, 'store.new');
  await rm(beside, { recursive: true, force: true });
  const made = await startStore(beside, flushes);
  await made.close();
  await putInPlace(dataDir);
  return startStore(join(dataDir, 'store'), flushes);
}

async function putInPlace(dataDir: string): Promise<void> {
  await rename(join(dataDir, 'store.new'), join(dataDir, 'store'));
  await syncFolder(dataDir);
}

function unusable(failure: unknown): string {
  return `the store had to be made without its template: ${failure instanceof Error ? failure.message : String(failure)}`;
}

/** Answers one batch of messages of the client. */
function answer(store: PGlite, request: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  // The bytes are the store's memory, which it writes to again.
  const onRawData = (part: Uint8Array) => {
    parts.push(part.slice());
  };
  return store.execProtocolRawStream(request, { syncToFs: false, onRawData }).then(() => concat(parts));
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function serve(): Promise<void> {
  if (parentPort === null) return;
  const port = parentPort;
  const { dataDir, flushes } = workerData as EmbeddedWorkerData;
  const { store, warning } = await openStore(dataDir, flushes);
  const post = (message: EmbeddedWorkerMessage) =>
    message instanceof Uint8Array ? port.postMessage(message, [message.buffer]) : port.postMessage(message);
  let last = Promise.resolve();
  port.on('message', (message: Uint8Array | 'close') => {
    // An exception is the store's end (a panic, a broken disk): unhandled here, it ends the thread, and the owner sees it.
    last = last.then(async () => {
      if (message !== 'close') {
        post(await answer(store, message));
        return;
      }
      await store.close();
      post({ kind: 'closed' });
      port.close();
    });
  });
  post({ kind: 'ready', ...(warning === undefined ? {} : { warning }) });
}

await serve();
