/** The command line's output to a terminal or a pipe, and secrets from files, pipes and keyboards. */
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { CommandOutput } from './command.ts';

const barWidth = 30;
const secretBytesMax = 4_096;

export interface Terminal {
  readonly stdin: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
  readonly stdout: Writable;
  readonly stderr: Writable & { isTTY?: boolean };
}

/** Progress is a bar on a terminal and nothing in a pipe. */
export function createOutput(terminal: Terminal): CommandOutput & { done(): void } {
  const { stdout, stderr } = terminal;
  let shown = false;
  const clear = (): void => {
    if (shown) stderr.write('\r\u001b[2K');
    shown = false;
  };
  return {
    line(text) {
      clear();
      stdout.write(`${text}\n`);
    },
    async flush() {
      if (stdout.writableNeedDrain) await new Promise<void>((resolve) => stdout.once('drain', resolve));
    },
    error(text) {
      clear();
      stderr.write(`${text}\n`);
    },
    progress(label, done, total) {
      if (stderr.isTTY !== true) return;
      const share = total === 0 ? 1 : Math.min(1, done / total);
      const filled = Math.round(barWidth * share);
      const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled);
      stderr.write(`\r${label} ${bar} ${Math.floor(share * 100)} % (${done}/${total})`);
      shown = true;
    },
    done: clear,
  };
}

/** A password from a file, from standard input (`-`, or piped), or typed without being shown. */
export async function readSecret(source: string | undefined, terminal: Terminal): Promise<string> {
  if (source !== undefined && source !== '-') return withoutLineEnd(readFileSync(source, 'utf8'));
  if (source === '-' || terminal.stdin.isTTY !== true) return withoutLineEnd(await readAll(terminal.stdin));
  terminal.stderr.write('password: ');
  const typed = await readHidden(terminal);
  terminal.stderr.write('\n');
  return typed;
}

async function readAll(stream: Readable): Promise<string> {
  const decoder = new StringDecoder('utf8');
  let text = '';
  for await (const chunk of stream) {
    text += decoder.write(chunk as Buffer);
    if (text.length > secretBytesMax) throw new Error('the password is too long');
  }
  return text;
}

function readHidden(terminal: Terminal): Promise<string> {
  const { stdin } = terminal;
  stdin.setRawMode?.(true);
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (chunk: Buffer): void => {
      for (const character of chunk.toString('utf8')) {
        if (character === '\r' || character === '\n' || character === '\u0004') {
          end(() => resolve(text));
          return;
        }
        if (character === '\u0003') {
          end(() => reject(new Error('interrupted')));
          return;
        }
        text = character === '\u007f' ? [...text].slice(0, -1).join('') : text + character;
      }
    };
    const end = (settle: () => void): void => {
      stdin.off('data', onData);
      stdin.setRawMode?.(false);
      stdin.pause();
      settle();
    };
    stdin.on('data', onData);
  });
}

const withoutLineEnd = (text: string): string => text.replace(/\r?\n$/, '');
