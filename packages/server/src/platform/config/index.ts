/**
 * Configuration as a table: each variable with its kind, default and meaning stands in one place, from which it is read,
 * checked, documented and shown. A table is read as a whole, and what is wrong with it is told as a whole, a line each.
 */
export {
  type EffectiveSetting,
  effectiveSettings,
  exampleFile,
  problemLine,
  settingsPage,
} from './documents.ts';
export { type Environment, type ReadTextFile, withDotenv } from './environment.ts';
export {
  boolean,
  custom,
  integer,
  isCidr,
  list,
  oneOf,
  parseUrl,
  type Rate,
  rate,
  secret,
  secretUrl,
  text,
  url,
} from './kinds.ts';
export { knownNames, readSettings, type SettingSource } from './read.ts';
export { createSecret, type Secret } from './secret.ts';
export { findWeakness, isExampleText, isPlaceholder } from './secret-strength.ts';
export { inGroup, type Parsed, type SettingProblem, type SettingTable, type ValuesOf } from './setting.ts';
