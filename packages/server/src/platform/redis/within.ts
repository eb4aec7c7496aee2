/** A deadline for a promise. */

/**
 * Rejects with what `late` makes when `work` has not ended in time. An event loop that was blocked runs timers before it reads
 * sockets: the answer gets one turn to be read. What `work` does afterwards is nobody's concern.
 */
export function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => setImmediate(() => reject(late()))), ms);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (failure: unknown) => {
        clearTimeout(timer);
        reject(failure);
      },
    );
  });
}
