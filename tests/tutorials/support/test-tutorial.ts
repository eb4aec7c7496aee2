/** The test of a tutorial whose reader needs nothing but terminals. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './packed.ts';
import { runTutorial } from './run-tutorial.ts';
import { makeStage } from './stage.ts';

export const readTutorial = (name: string): string => readFileSync(join(root, 'docs/tutorials', name), 'utf8');

export function testTutorial(name: string): void {
  test(`what the tutorial ${name} says and shows is true`, async () => {
    const stage = await makeStage({ project: 'orders', ports: [4000, 3000] });
    try {
      await runTutorial(readTutorial(name), stage);
    } finally {
      stage.remove();
    }
  });
}
