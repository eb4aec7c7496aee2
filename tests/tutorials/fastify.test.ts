/** docs/tutorials/fastify.md, done as it says. */
import { testTutorial } from './support/test-tutorial.ts';

testTutorial('fastify.md');
