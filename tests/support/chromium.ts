/**
 * A real browser for tests: headless Chromium, driven by its DevTools protocol over two pipes. No port is opened.
 *
 * Nothing stays behind: `stop` ends the processes that it started and removes the profile; when the test process ends without
 * it, the pipes close and Chromium ends by itself.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** Parameters and results of the protocol, as its documentation has them. */
type Json = Readonly<Record<string, unknown>>;

export interface Page {
  /** Loads an address, and resolves when the page has loaded. */
  open(url: string): Promise<void>;
  /** Runs an expression in the page, as if its author had written it, and awaits its promise; a rejection is thrown. */
  run<T>(expression: string): Promise<T>;
  /** Waits until the expression is true. */
  until(expression: string, timeoutMs?: number): Promise<void>;
  /** The text that a person sees. */
  text(): Promise<string>;
  /** Types into the element, as a keyboard does. */
  type(selector: string, text: string): Promise<void>;
  /** A click of the mouse in the middle of the element. */
  click(selector: string): Promise<void>;
  /** What the page has written to the console, errors and violations of its policy included. */
  readonly messages: readonly string[];
  /** A PNG of what a window of this width shows. */
  screenshot(width?: number, height?: number): Promise<Buffer>;
  /** A command of the protocol, for this page: `WebAuthn.enable`, `Network.setCookie` and the like. */
  send(method: string, params?: Json): Promise<Json>;
  close(): Promise<void>;
}

export interface Browser {
  readonly version: string;
  /** The folder that goes with it. */
  readonly profile: string;
  /** With cookies, storage and credentials of its own, or as another tab beside a page, which ends with that page. */
  newPage(beside?: Page): Promise<Page>;
  stop(): Promise<void>;
}

const programs = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const answerTimeoutMs = 60_000;
const endTimeoutMs = 10_000;

/** `CHROMIUM` names another program. Throws when there is none: a test that needs a browser does not pass without. */
export function findChromium(): string {
  const asked = process.env['CHROMIUM'];
  const found = asked ?? programs.find((path) => existsSync(path));
  assert.ok(
    found !== undefined && existsSync(found),
    `there is no Chromium at ${asked ?? programs.join(', ')}: apt-get install --no-install-recommends chromium`,
  );
  return found;
}

export async function startChromium(): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'auth-service-chromium-'));
  const child = spawn(findChromium(), [...switches, `--user-data-dir=${profile}`, 'about:blank'], {
    // In a group of its own, so that the processes that it starts end with it.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, HOME: profile, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
  });
  const ending = endOf(child);
  const stop = async (): Promise<void> => {
    process.off('exit', kill);
    await ending.end();
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  const kill = (): void => ending.kill();
  process.once('exit', kill);
  try {
    const protocol = connect(child, ending.closed);
    const { product } = await protocol.send('Browser.getVersion');
    return {
      version: String(product),
      profile,
      newPage: (beside) => newPage(protocol, beside),
      async stop() {
        await Promise.race([protocol.send('Browser.close').catch(() => undefined), ending.closed]);
        await stop();
      },
    };
  } catch (failure) {
    await stop();
    throw failure;
  }
}

/** Root may not use the sandbox; a container has little shared memory; nothing is to be fetched that the page does not ask for. */
const switches = [
  '--headless=new',
  '--no-sandbox',
  '--remote-debugging-pipe',
  '--disable-dev-shm-usage',
  '--disable-gpu',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-extensions',
  '--disable-component-update',
  '--disable-background-networking',
  '--disable-sync',
  '--disable-breakpad',
  '--disable-features=Translate,OptimizationHints,MediaRouter',
  '--password-store=basic',
  '--use-mock-keychain',
  '--hide-scrollbars',
  '--mute-audio',
];

interface Ending {
  /** Resolves with what it last wrote when the program is gone. */
  readonly closed: Promise<string>;
  kill(): void;
  end(): Promise<void>;
}

function endOf(child: ChildProcess): Ending {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000);
  });
  const closed = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', () => resolve(said));
  });
  const { pid } = child;
  const signal = (name: NodeJS.Signals | 0): boolean => {
    try {
      return pid !== undefined && process.kill(-pid, name);
    } catch {
      return false; // The whole group has ended.
    }
  };
  return {
    closed,
    kill: () => void signal('SIGKILL'),
    async end() {
      const until = performance.now() + endTimeoutMs;
      while (signal(0) && performance.now() < until) {
        // First it ends by itself; what is left after half of the time is killed.
        if (performance.now() > until - endTimeoutMs / 2) signal('SIGKILL');
        await sleep(20);
      }
      child.stderr?.destroy();
    },
  };
}

interface Protocol {
  send(method: string, params?: Json, sessionId?: string): Promise<Json>;
  on(listener: (event: ProtocolEvent) => void): () => void;
}

interface ProtocolEvent {
  readonly method: string;
  readonly params: Json;
  readonly sessionId?: string;
}

interface Waiting {
  readonly resolve: (result: Json) => void;
  readonly reject: (error: Error) => void;
}

/** Messages are JSON, each ended by a zero byte: descriptor 3 takes them, descriptor 4 gives them. */
function connect(child: ChildProcess, closed: Promise<string>): Protocol {
  const [, , , input, output] = child.stdio as unknown as [null, null, Readable, Writable, Readable];
  const waiting = new Map<number, Waiting>();
  const listeners = new Set<(event: ProtocolEvent) => void>();
  let nextId = 0;
  let rest: Buffer[] = [];
  let gone: Error | undefined;
  const take = (text: string): void => {
    const message = JSON.parse(text) as ProtocolEvent & { id?: number; result?: Json; error?: { message: string } };
    if (message.id === undefined) for (const listener of listeners) listener(message);
    else {
      const waiter = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error === undefined) waiter?.resolve(message.result ?? {});
      else waiter?.reject(new Error(message.error.message));
    }
  };
  output.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let at = chunk.indexOf(0); at !== -1; at = chunk.indexOf(0, from)) {
      take(Buffer.concat([...rest, chunk.subarray(from, at)]).toString());
      rest = [];
      from = at + 1;
    }
    rest.push(chunk.subarray(from));
  });
  for (const pipe of [input, output]) pipe.on('error', () => undefined);
  void closed.then((said) => {
    gone = new Error(`Chromium has ended: ${said}`);
    for (const { reject } of waiting.values()) reject(gone);
    waiting.clear();
  });
  return {
    send(method, params = {}, sessionId) {
      if (gone !== undefined) return Promise.reject(gone);
      nextId += 1;
      const id = nextId;
      return new Promise<Json>((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(id);
          reject(new Error(`Chromium did not answer ${method}`));
        }, answerTimeoutMs);
        const settled =
          <T>(settle: (value: T) => void) =>
          (value: T) => {
            clearTimeout(timer);
            settle(value);
          };
        waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
        input.write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`);
      });
    },
    on(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

const contexts = new WeakMap<Page, unknown>();

async function newPage(protocol: Protocol, beside?: Page): Promise<Page> {
  // A context of its own: no cookie, cache or credential of another page.
  const browserContextId =
    beside === undefined
      ? (await protocol.send('Target.createBrowserContext'))['browserContextId']
      : contexts.get(beside);
  const { targetId } = await protocol.send('Target.createTarget', { url: 'about:blank', browserContextId });
  const { sessionId } = await protocol.send('Target.attachToTarget', { targetId, flatten: true });
  const send = (method: string, params?: Json): Promise<Json> => protocol.send(method, params, String(sessionId));
  const messages: string[] = [];
  let loaded = (): void => undefined;
  const off = protocol.on(({ method, params, sessionId: of }) => {
    if (of !== sessionId) return;
    if (method === 'Page.loadEventFired') loaded();
    if (method === 'Runtime.consoleAPICalled') {
      const args = params['args'] as readonly { value?: unknown; description?: string }[];
      messages.push(args.map(({ value, description }) => String(value ?? description)).join(' '));
    }
    if (method === 'Runtime.exceptionThrown') messages.push(describeException(params['exceptionDetails']));
    if (method === 'Log.entryAdded') messages.push((params['entry'] as { text: string }).text);
  });
  for (const domain of ['Page', 'Runtime', 'Log']) await send(`${domain}.enable`);

  async function run<T>(expression: string): Promise<T> {
    const done = await send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
      // As after a click: some doors of the browser open only for a person.
      userGesture: true,
    });
    if (done['exceptionDetails'] !== undefined) throw new Error(describeException(done['exceptionDetails']));
    return (done['result'] as { value?: unknown }).value as T;
  }

  /** While a page gives way to the next one there may be no body and no answer: it is asked again. */
  async function until(expression: string, timeoutMs = 60_000): Promise<void> {
    const end = performance.now() + timeoutMs;
    let failure: unknown;
    const holds = (): Promise<unknown> =>
      run<unknown>(`Boolean(${expression})`).catch((error: unknown) => {
        failure = error;
        return false;
      });
    while ((await holds()) !== true) {
      if (performance.now() > end) {
        const shown = await text().catch(String);
        throw new Error(`waited in vain for ${expression}; the page shows: ${shown}`, { cause: failure });
      }
      await sleep(20);
    }
  }

  const text = (): Promise<string> => run<string>(`document.body?.innerText ?? ''`);

  async function middleOf(selector: string): Promise<{ x: number; y: number }> {
    const found = await run<{ x: number; y: number } | null>(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      if (element === null) return null;
      element.scrollIntoView({ block: 'center' });
      const { x, y, width, height } = element.getBoundingClientRect();
      return { x: x + width / 2, y: y + height / 2 };
    })()`);
    assert.ok(found !== null, `there is no ${selector} on the page`);
    return found;
  }

  async function click(selector: string): Promise<void> {
    const at = await middleOf(selector);
    for (const type of ['mousePressed', 'mouseReleased']) {
      await send('Input.dispatchMouseEvent', { type, ...at, button: 'left', clickCount: 1 });
    }
  }

  const page: Page = {
    async open(url) {
      const done = new Promise<void>((resolve) => {
        loaded = resolve;
      });
      const { errorText } = await send('Page.navigate', { url });
      assert.equal(errorText, undefined, `${url}: ${String(errorText)}`);
      await done;
    },
    run,
    until,
    text,
    async type(selector, typed) {
      await click(selector);
      await send('Input.insertText', { text: typed });
    },
    click,
    messages,
    async screenshot(width = 800, height = 600) {
      await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 500 });
      const { data } = await send('Page.captureScreenshot', { format: 'png' });
      return Buffer.from(String(data), 'base64');
    },
    send,
    async close() {
      off();
      if (beside === undefined) await protocol.send('Target.disposeBrowserContext', { browserContextId });
      else await protocol.send('Target.closeTarget', { targetId });
    },
  };
  contexts.set(page, browserContextId);
  return page;
}

function describeException(details: unknown): string {
  const { text, exception } = details as { text: string; exception?: { description?: string; value?: unknown } };
  return exception?.description ?? String(exception?.value ?? text);
}
