/**
 * Every secret that a suite used, and the search for them in what a program said (SECURITY LOG-01): as they are, in
 * base64 and base64url wherever they stand in what was encoded, in hexadecimal, percent-encoded and JSON-escaped.
 */
import assert from 'node:assert/strict';

export interface Secrets {
  /** Takes note of a secret. What is too short or too plain to be told from ordinary words is left out. */
  add(value: string): void;
  readonly size: number;
  /** The kinds of secret that were found, with a little of what stands around; never the secret itself. */
  findIn(text: string): readonly string[];
  assertAbsentFrom(text: string, what: string): void;
}

const lengthMin = 10;
const distinctMin = 6;
const probeLength = 10;

export function createSecrets(): Secrets {
  const forms = new Map<string, string>();
  const values = new Set<string>();

  function add(value: string): void {
    if (values.has(value) || value.length < lengthMin || new Set(value).size < distinctMin) return;
    values.add(value);
    for (const [form, text] of spellings(value)) if (text.length >= probeLength) forms.set(text, form);
    // A token that is cut off still carries its signature, or its first characters.
    if (value.length > 60) forms.set(value.slice(-40), 'end of a token');
  }

  function findIn(text: string): readonly string[] {
    const byProbe = new Map<string, string[]>();
    for (const spelling of forms.keys()) {
      const probe = spelling.slice(0, probeLength);
      byProbe.set(probe, [...(byProbe.get(probe) ?? []), spelling]);
    }
    const found: string[] = [];
    for (let at = 0; at + probeLength <= text.length; at += 1) {
      for (const spelling of byProbe.get(text.slice(at, at + probeLength)) ?? []) {
        if (!text.startsWith(spelling, at)) continue;
        const around = `${text.slice(Math.max(0, at - 80), at)}<here>${text.slice(at + spelling.length, at + spelling.length + 40)}`;
        found.push(`${forms.get(spelling)}: …${around}…`);
      }
    }
    return found;
  }

  return {
    add,
    get size() {
      return values.size;
    },
    findIn,
    assertAbsentFrom(text, what) {
      assert.deepEqual(findIn(text), [], `${what} must not hold any of the ${values.size} secrets of this suite`);
    },
  };
}

function* spellings(value: string): Generator<readonly [string, string]> {
  const bytes = Buffer.from(value);
  yield ['plain', value];
  yield ['hexadecimal', bytes.toString('hex')];
  yield ['hexadecimal, upper case', bytes.toString('hex').toUpperCase()];
  yield ['percent-encoded', encodeURIComponent(value.toWellFormed())];
  yield ['JSON-escaped', JSON.stringify(value).slice(1, -1)];
  for (let offset = 0; offset < 3; offset += 1) {
    // Characters at both ends also depend on what stands beside the secret.
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replaceAll('=', '');
    const core = encoded.slice(offset === 0 ? 0 : offset + 1, encoded.length - 1);
    yield ['base64', core];
    yield ['base64url', core.replaceAll('+', '-').replaceAll('/', '_')];
  }
}
