/** docs/tutorials/hono.md, done as it says. */
import { testTutorial } from './support/test-tutorial.ts';

testTutorial('hono.md');
