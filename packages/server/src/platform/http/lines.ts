/** An answer of lines of JSON (NDJSON), as long as they come: each is written when the ones before it have been read. */
import type { AnswerStream } from './route.ts';

export const ndjson = 'application/x-ndjson';

/** What breaks off, here or by a service that closes, is cut, so that nobody takes it for the whole. */
export async function streamLines(lines: AsyncIterable<object>, stream: AnswerStream): Promise<void> {
  try {
    for await (const line of lines) {
      stream.write(`${JSON.stringify(line)}\n`);
      if (stream.isClosing() || !(await stream.read())) return stream.cut();
    }
    stream.end();
  } catch {
    stream.cut();
  }
}
