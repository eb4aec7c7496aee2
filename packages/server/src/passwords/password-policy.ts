/** The password policy with the bundled list. */
import { isCommonPassword } from './common-passwords.ts';
import { type PasswordPolicy, type PolicyProblem, passwordProblems } from './password-policy.rule.ts';

/** Every problem of a new password; an empty list is a good one. */
export function checkPassword(password: string, policy: PasswordPolicy): readonly PolicyProblem[] {
  return passwordProblems(password, policy, isCommonPassword);
}
