/** UUIDs as four words, read and written without allocating on the way in. Only the canonical lower-case form counts. */

const hyphen = 0x2d;
/** Places of the 32 digits among the 36 characters. */
const places = Uint8Array.from({ length: 32 }, (_, digit) => {
  const hyphens = digit >= 20 ? 4 : digit >= 16 ? 3 : digit >= 12 ? 2 : digit >= 8 ? 1 : 0;
  return digit + hyphens;
});
/** The digit's value; 16 for what is no lower-case digit. */
const values = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(code));
  return value === -1 ? 16 : value;
});

/** Whether `text` is a UUID in canonical form; if so its words are in `into`. */
export function readUuid(text: string, into: Int32Array): boolean {
  if (text.length !== 36) return false;
  if (
    text.charCodeAt(8) !== hyphen ||
    text.charCodeAt(13) !== hyphen ||
    text.charCodeAt(18) !== hyphen ||
    text.charCodeAt(23) !== hyphen
  ) {
    return false;
  }
  let codes = 0;
  let wrong = 0;
  for (let at = 0; at < 32; at += 8) {
    let word = 0;
    for (let digit = at; digit < at + 8; digit += 1) {
      const code = text.charCodeAt(places[digit] ?? 0);
      const value = values[code & 127] ?? 16;
      codes |= code;
      wrong |= value;
      word = (word << 4) | value;
    }
    into[at >> 3] = word;
  }
  return codes < 128 && wrong < 16;
}

export function writeUuid(id: Int32Array): string {
  let hex = '';
  for (const word of id) hex += (word >>> 0).toString(16).padStart(8, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
