/**
 * The limits of a login and of a signature: the hash alone (the same library, one thread a core at the service's own low
 * priority, so that neighbours on the machine slow both alike), and signing and verifying alone on one thread.
 */
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { availableParallelism, constants, setPriority } from 'node:os';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { hashSync, verifySync } from '@node-rs/bcrypt';

interface Round {
  readonly seconds: number;
  readonly cost: number;
}

interface Share {
  readonly count: number;
  readonly seconds: number;
}

const password = 'c2VjcmV0LXRoYXQtaXMtbG9uZy1lbm91Z2gtdG8taGFzaA==';

/** A thread's own rate: whole hashes over the time they took, so that the window's edges do not weigh. */
function hashFor({ seconds, cost }: Round): Share {
  const encoded = hashSync(password, { cost });
  const beganMs = performance.now();
  let count = 0;
  do {
    verifySync(password, encoded);
    count += 1;
  } while (performance.now() - beganMs < seconds * 1_000);
  return { count, seconds: (performance.now() - beganMs) / 1_000 };
}

function startThread(): { run(round: Round): Promise<Share> } {
  const worker = new Worker(new URL(import.meta.url));
  return {
    run: (round) =>
      new Promise((resolve, reject) => {
        worker.once('error', reject);
        worker.once('message', (share: Share) => resolve(share));
        worker.postMessage(round);
      }),
  };
}

function signatures(seconds: number): object {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const text = Buffer.alloc(600, 'a');
  const signature = sign(null, text, privateKey);
  const rate = (once: () => unknown): number => {
    const beganMs = performance.now();
    let count = 0;
    for (; performance.now() - beganMs < (seconds * 1_000) / 2; count += 1) once();
    return (count * 1_000) / (performance.now() - beganMs);
  };
  return {
    signPerSecond: rate(() => sign(null, text, privateKey)),
    verifyPerSecond: rate(() => verify(null, text, publicKey, signature)),
  };
}

function main(): void {
  const threads = Array.from({ length: availableParallelism() }, startThread);
  const answer = async (message: Round & { readonly kind: 'hash' | 'signature' }): Promise<object> => {
    if (message.kind === 'signature') return signatures(message.seconds);
    const shares = await Promise.all(threads.map((thread) => thread.run(message)));
    return { perSecond: shares.reduce((sum, { count, seconds }) => sum + count / seconds, 0) };
  };
  process.on('message', (message: Round & { readonly kind: 'hash' | 'signature' }) => {
    answer(message).then(
      (result) => process.send?.(result),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => process.exit(0));
}

if (isMainThread) main();
else {
  setPriority(0, constants.priority.PRIORITY_LOW);
  parentPort?.on('message', (round: Round) => parentPort?.postMessage(hashFor(round)));
}
