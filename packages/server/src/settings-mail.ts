/** What the variables of mail ask for together. */
import type { SettingProblem } from './platform/config/index.ts';

/** Nothing sends the mail that `EMAIL_VERIFICATION` speaks of: accounts are opened by hand. */
export function mailWarnings(values: { readonly EMAIL_VERIFICATION: 'off' | 'required' }): readonly SettingProblem[] {
  if (values.EMAIL_VERIFICATION === 'off') return [];
  const mend = 'confirm addresses with `auth-service users verify ADDRESS`, or set off';
  return [{ variable: 'EMAIL_VERIFICATION', problem: 'is required, and this version sends no mail', mend }];
}
