/** The first word on a link, from both ends: who speaks, and in which version of this language. */

export interface Hello {
  readonly incarnation: string;
  readonly name: string;
  /** Where it listens. */
  readonly address: string;
  /** Counts the links that the speaker has opened; 0 from the end that did not open this one. */
  readonly dial: number;
}

export type HelloRead =
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'other_version'; readonly version: number }
  | { readonly kind: 'nothing' };

const version = 1;
const incarnationForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const nameForm = /^[A-Za-z0-9._-]{1,63}$/;
const addressForm = /^[A-Za-z0-9._:[\]%-]{1,300}$/;
const textLengthMax = 1_024;

export const writeHello = ({ incarnation, name, address, dial }: Hello): string =>
  JSON.stringify({ version, incarnation, name, address, dial });

/** What later versions add is passed over; another version is one that cannot be spoken with. */
export function readHello(text: string): HelloRead {
  const given = text.length > textLengthMax ? undefined : parse(text);
  if (typeof given !== 'object' || given === null) return { kind: 'nothing' };
  const { version: spoken, incarnation, name, address, dial } = given as Readonly<Record<string, unknown>>;
  if (typeof spoken !== 'number') return { kind: 'nothing' };
  if (spoken !== version) return { kind: 'other_version', version: spoken };
  if (
    !matches(incarnation, incarnationForm) ||
    !matches(name, nameForm) ||
    !matches(address, addressForm) ||
    !isCount(dial)
  ) {
    return { kind: 'nothing' };
  }
  return { kind: 'hello', hello: { incarnation, name, address, dial } };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const matches = (value: unknown, form: RegExp): value is string => typeof value === 'string' && form.test(value);

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
