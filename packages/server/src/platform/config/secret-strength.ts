/**
 * Whether a secret is one: long enough, no placeholder out of an example, and not a pattern. This finds carelessness, it
 * cannot prove that something was drawn at random.
 */

/** As whole secrets, whatever their case and punctuation. */
const wholePlaceholders = [
  'admin',
  'default',
  'demo',
  'development',
  'letmein',
  'none',
  'pass',
  'passw0rd',
  'password',
  'postgres',
  'redis',
  'root',
  'secret',
  'test',
  'undefined',
  'null',
];

/** Anywhere in a secret, after case and punctuation are taken off. Long enough not to turn up in random text. */
const partPlaceholders = [
  'changeit',
  'changeme',
  'changethis',
  'clustersecret',
  'correcthorsebatterystaple',
  'defaultsecret',
  'examplesecret',
  'insertsecret',
  'jwtsecret',
  'mysecret',
  'notasecret',
  'placeholder',
  'pleasechange',
  'replaceme',
  'replacethis',
  'replacewith',
  'secretkey',
  'supersecret',
  'topsecret',
  'verysecret',
  'yourpassword',
  'yoursecret',
  'yoursuper',
];

/** What the characters of 32 bytes in hexadecimal or base64 exceed by far; what patterns stay under. */
const entropyBitsMin = 72;
const distinctMin = 8;

/** What is wrong with the secret, or `undefined`. The answer never quotes it. */
export function findWeakness(secret: string, bytesMin: number): string | undefined {
  const bytes = Buffer.byteLength(secret);
  if (bytes === 0) return 'is empty';
  if (isPlaceholder(secret)) return 'is a placeholder out of an example';
  if (bytes < bytesMin) return `is ${bytes} bytes long; at least ${bytesMin} are needed`;
  const unit = repeatedUnit(secret);
  if (unit.length === 1) return 'is one character, repeated';
  if (unit.length < secret.length) return 'is a short text, repeated';
  // Shorter secrets cannot reach the figure of a long one.
  const needed = entropyBitsMin * Math.min(1, bytesMin / 32);
  if (distinct(secret) < distinctMin || isSequence(secret) || entropyBits(secret) < needed) {
    return 'is too regular to be random';
  }
  return undefined;
}

export function isPlaceholder(secret: string): boolean {
  return wholePlaceholders.includes(plain(secret)) || isExampleText(secret);
}

/** Whether it holds what only instructions hold; a mere default (`postgres`) does not. */
export function isExampleText(secret: string): boolean {
  const text = plain(secret);
  return partPlaceholders.some((part) => text.includes(part));
}

const plain = (secret: string): string => secret.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

/** The shortest text that, written again and again (the last time perhaps cut off), makes the secret; twice at least. */
function repeatedUnit(secret: string): string {
  for (let length = 1; length <= secret.length / 2; length++) {
    if (secret.startsWith(secret.slice(0, secret.length - length), length)) return secret.slice(0, length);
  }
  return secret;
}

const distinct = (secret: string): number => new Set(secret).size;

/** `abcdef…`, `9876…`: most characters are the neighbour of the one before. */
function isSequence(secret: string): boolean {
  let neighbours = 0;
  for (let index = 1; index < secret.length; index++) {
    if (Math.abs(secret.charCodeAt(index) - secret.charCodeAt(index - 1)) <= 1) neighbours += 1;
  }
  return neighbours > secret.length / 2;
}

/** Shannon's entropy of the characters by their counts, over the whole text. */
function entropyBits(secret: string): number {
  const counts = new Map<string, number>();
  for (const character of secret) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= count * Math.log2(count / secret.length);
  return bits;
}
