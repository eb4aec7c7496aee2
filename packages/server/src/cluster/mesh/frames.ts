/** Frames of the mesh: a line each, of bounded length, one letter for what it is. `h` hello, `m` message, `p` ping. */

export type Frame = { readonly kind: 'hello' | 'message'; readonly text: string } | { readonly kind: 'ping' };

/** A message of 64 KiB and its letter. */
const frameBytesMax = 64 * 1_024 + 1;
const newline = 0x0a;
const letters = { h: 'hello', m: 'message' } as const;

/** `undefined` for what fits no frame. */
export function writeFrame(kind: 'hello' | 'message', text: string): string | undefined {
  if (text.includes('\n') || Buffer.byteLength(text) >= frameBytesMax) return undefined;
  return `${kind === 'hello' ? 'h' : 'm'}${text}\n`;
}

export const pingFrame = 'p\n';

export interface FrameReader {
  /** Answers the frames that are complete now; `undefined` once something is no frame, and from then on. */
  push(chunk: Buffer): readonly Frame[] | undefined;
}

export function createFrameReader(): FrameReader {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let broken = false;

  function take(end: Buffer): Frame | undefined {
    const line = heldBytes === 0 ? end : Buffer.concat([...held, end]);
    held = [];
    heldBytes = 0;
    if (line.length > frameBytesMax) return undefined;
    return readFrame(line.toString());
  }

  return {
    push(chunk) {
      const frames: Frame[] = [];
      let start = 0;
      for (let end = chunk.indexOf(newline); end !== -1 && !broken; end = chunk.indexOf(newline, start)) {
        const frame = take(chunk.subarray(start, end));
        if (frame === undefined) broken = true;
        else frames.push(frame);
        start = end + 1;
      }
      const rest = chunk.subarray(start);
      broken ||= heldBytes + rest.length > frameBytesMax;
      if (broken) {
        held = [];
        return undefined;
      }
      if (rest.length > 0) held.push(Buffer.from(rest));
      heldBytes += rest.length;
      return frames;
    },
  };
}

function readFrame(line: string): Frame | undefined {
  const letter = line[0];
  if (line === 'p') return { kind: 'ping' };
  if (letter !== 'h' && letter !== 'm') return undefined;
  return { kind: letters[letter], text: line.slice(1) };
}
