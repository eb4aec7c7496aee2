/** docs/tutorials/nest.md, done as it says. */
import { testTutorial } from './support/test-tutorial.ts';

testTutorial('nest.md');
