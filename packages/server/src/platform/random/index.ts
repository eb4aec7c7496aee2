/** Randomness as a parameter: the machine's own source, or a seeded one for tests that must repeat. */
export { createRandom, type Random, systemRandom } from './random.ts';
export { createSeededRandom } from './seeded.ts';
