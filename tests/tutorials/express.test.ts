/** docs/tutorials/express.md, done as it says. */
import { testTutorial } from './support/test-tutorial.ts';

testTutorial('express.md');
