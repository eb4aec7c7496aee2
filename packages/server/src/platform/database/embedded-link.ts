/**
 * The client library's socket, when there is no socket: a duplex stream to the thread of the embedded store.
 *
 * The client writes whole messages, so each batch of writes is one message to the thread. The store has no handshake:
 * the first message is answered here.
 */
import { Duplex } from 'node:stream';
import type { Worker } from 'node:worker_threads';

// Authentication is not needed (R, length 8, 0); ready for a query, idle (Z, length 5, I).
const greeting = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);
const terminate = 0x58;

export class EmbeddedLink extends Duplex {
  readonly #worker: Worker;
  #greeted = false;

  constructor(worker: Worker) {
    super({ allowHalfOpen: false, emitClose: true });
    this.#worker = worker;
  }

  /** What the thread answered. */
  receive(bytes: Uint8Array): void {
    this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  connect(): this {
    setImmediate(() => this.emit('connect'));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    this.#worker.ref();
    return this;
  }

  unref(): this {
    this.#worker.unref();
    return this;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#send(chunk);
    done();
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    done();
  }

  #send(bytes: Buffer): void {
    if (!this.#greeted) {
      this.#greeted = true;
      this.push(greeting);
    } else if (bytes[0] === terminate) {
      this.destroy();
    } else {
      // A copy of its own: the client's buffers are slices of larger ones that it uses again.
      const own = new Uint8Array(bytes);
      this.#worker.postMessage(own, [own.buffer]);
    }
  }
}
