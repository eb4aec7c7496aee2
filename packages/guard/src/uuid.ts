/** UUIDs as four words, read and written without allocating on the way in. Only the canonical lower-case form counts. */

const hyphen = 0x2d;
/** The digit's value; what is no lower-case digit has the bit `noDigit`. */
const noDigit = 16;
const values = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(code));
  return value === -1 ? noDigit : value;
});

/** Whether `text` is a UUID in canonical form; if so its words are in `into`. Written out: this is most of a look-up's time. */
export function readUuid(text: string, into: Int32Array): boolean {
  if (
    text.length !== 36 ||
    text.charCodeAt(8) !== hyphen ||
    text.charCodeAt(13) !== hyphen ||
    text.charCodeAt(18) !== hyphen ||
    text.charCodeAt(23) !== hyphen
  ) {
    return false;
  }
  const a = readFour(text, 0);
  const b = readFour(text, 4);
  const c = readFour(text, 9);
  const d = readFour(text, 14);
  const e = readFour(text, 19);
  const f = readFour(text, 24);
  const g = readFour(text, 28);
  const h = readFour(text, 32);
  into[0] = (a << 16) | b;
  into[1] = (c << 16) | d;
  into[2] = (e << 16) | f;
  into[3] = (g << 16) | h;
  return (a | b | c | d | e | f | g | h) < 0x10000;
}

/** Four digits as 16 bits; 0x10000 and more when one of them is none. */
function readFour(text: string, at: number): number {
  const a = text.charCodeAt(at);
  const b = text.charCodeAt(at + 1);
  const c = text.charCodeAt(at + 2);
  const d = text.charCodeAt(at + 3);
  const va = values[a & 127] ?? 0;
  const vb = values[b & 127] ?? 0;
  const vc = values[c & 127] ?? 0;
  const vd = values[d & 127] ?? 0;
  const beyond = (a | b | c | d) & ~127;
  return (
    (va << 12) | (vb << 8) | (vc << 4) | vd | (((va | vb | vc | vd) & noDigit) << 12) | (beyond === 0 ? 0 : 0x10000)
  );
}

export function writeUuid(id: Int32Array): string {
  let hex = '';
  for (const word of id) hex += (word >>> 0).toString(16).padStart(8, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
