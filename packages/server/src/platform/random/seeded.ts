/** The same bytes for the same seed, for tests and simulations. Never for a secret. */
import { createCipheriv, createHash } from 'node:crypto';
import { createRandom, type Random } from './random.ts';

export function createSeededRandom(seed: string | number): Random {
  const key = createHash('sha256').update(String(seed)).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return createRandom((count) => stream.update(Buffer.alloc(count)));
}
