/**
 * What a new password must be: 8 to 128 characters (code points in NFC), none of the common ones, and nothing that an
 * attacker tries first, the address and the service's name. No composition rules; every character is welcome.
 */
import { normalisePassword } from './password.rule.ts';

export type PolicyProblem =
  | {
      readonly code: 'password_too_short' | 'password_too_long' | 'password_invalid_character';
      readonly detail: string;
    }
  | {
      readonly code: 'password_blocked';
      readonly reason: 'common' | 'contains_email' | 'contains_service_name';
      readonly detail: string;
    };

export interface PasswordPolicy {
  readonly minLength: number;
  /** The account's address; `undefined` when it is not known or not valid. */
  readonly email?: string | undefined;
  /** `auth-service` by default; its words are found however they are joined. */
  readonly serviceName?: string | undefined;
}

export const passwordLengthMax = 128;
const serviceNameDefault = 'auth-service';
/** A shorter local part is found in too many good passwords. */
const localPartMin = 4;
/** Code units beyond which text cannot have 128 characters in NFC: no character is composed of more than 32. */
const unitsMax = passwordLengthMax * 32;

/** Every problem at once; none is a good password. `isCommon` is asked for the whole password. */
export function passwordProblems(
  typed: string,
  policy: PasswordPolicy,
  isCommon: (password: string) => boolean,
): readonly PolicyProblem[] {
  if (typed.length > unitsMax) return [tooLong];
  const password = normalisePassword(typed);
  if (password === undefined) {
    return [{ code: 'password_invalid_character', detail: 'The password is not well-formed Unicode text.' }];
  }
  const length = Array.from(password).length;
  if (length > passwordLengthMax) return [tooLong];
  const problems: PolicyProblem[] = [];
  if (length < policy.minLength) {
    problems.push({
      code: 'password_too_short',
      detail: `The password needs at least ${policy.minLength} characters.`,
    });
  }
  if (isCommon(password)) {
    problems.push({
      code: 'password_blocked',
      reason: 'common',
      detail: 'The password is one of the most common ones.',
    });
  }
  if (policy.email !== undefined && containsAddress(password, policy.email)) {
    problems.push({
      code: 'password_blocked',
      reason: 'contains_email',
      detail: 'The password contains the e-mail address.',
    });
  }
  if (containsName(password, policy.serviceName ?? serviceNameDefault)) {
    problems.push({
      code: 'password_blocked',
      reason: 'contains_service_name',
      detail: "The password contains the service's name.",
    });
  }
  return problems;
}

const tooLong: PolicyProblem = {
  code: 'password_too_long',
  detail: `The password has more than ${passwordLengthMax} characters.`,
};

function containsAddress(password: string, email: string): boolean {
  const local = email.slice(0, email.lastIndexOf('@'));
  const folded = fold(password);
  return folded.includes(fold(email)) || (Array.from(local).length >= localPartMin && folded.includes(fold(local)));
}

function containsName(password: string, name: string): boolean {
  const joined = withoutJoints(fold(name));
  return joined.length >= localPartMin && withoutJoints(fold(password)).includes(joined);
}

const fold = (text: string): string => text.normalize('NFC').toLowerCase();
const withoutJoints = (text: string): string => text.replace(/[\s._-]/g, '');
