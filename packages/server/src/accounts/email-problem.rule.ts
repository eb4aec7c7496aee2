/** What is wrong with an address, as a sentence. */
import type { EmailProblem } from './email.rule.ts';

const sentences: Readonly<Record<EmailProblem, string>> = {
  empty: 'An e-mail address is needed.',
  too_long: 'An e-mail address has at most 254 octets, 64 of them before the @.',
  invalid: 'This is not an e-mail address that mail can be sent to.',
};

export const describeEmailProblem = (problem: EmailProblem): string => sentences[problem];
