/**
 * A value that does not print: not in a template, JSON, a log line, an error, or the inspector. Only `reveal()` gives it,
 * so every use of it can be found by that word.
 */
import { inspect } from 'node:util';

export interface Secret<T> {
  reveal(): T;
  toString(): string;
  toJSON(): string;
}

export const maskedSecret = '[secret]';

export function createSecret<T>(value: T): Secret<T> {
  const mask = (): string => maskedSecret;
  const secret = { reveal: () => value, toString: mask, toJSON: mask, [inspect.custom]: mask };
  return Object.freeze(secret);
}
