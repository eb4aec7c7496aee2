/**
 * Whether CBOR (RFC 8949) may be given to a parser that calls itself for each level: found out in one pass, before anything is
 * decoded, so that bytes of anybody's making cost no more than their length.
 */

/** An attestation object has three levels, a key one, extensions a few. */
const depthMax = 8;

const lengthBytes: Readonly<Record<number, number>> = { 24: 1, 25: 2, 26: 4, 27: 8 };

/** Items one after the other up to the end, none of them cut, endless or nested deeper than `depthMax`. */
export function isShallowCbor(bytes: Uint8Array, from = 0): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** How many items are still to come on each open level. */
  const open: number[] = [];
  let at = from;
  while (at < bytes.length) {
    const major = view.getUint8(at) >> 5;
    const info = view.getUint8(at) & 31;
    const more = info < 24 ? 0 : lengthBytes[info];
    at += 1;
    if (more === undefined || at + more > bytes.length) return false;
    const value = more === 0 ? info : readUint(view, at, more);
    at += more;
    if (major === 2 || major === 3) at += value;
    const children = childrenOf(major, value);
    // Each takes a byte at least.
    if (at + children > bytes.length) return false;
    if (children > 0) {
      open.push(children);
      if (open.length > depthMax) return false;
    } else closeItem(open);
  }
  return open.length === 0;
}

/** Arrays, maps and tags hold others. */
function childrenOf(major: number, value: number): number {
  if (major === 4) return value;
  if (major === 5) return value * 2;
  return major === 6 ? 1 : 0;
}

/** The item that has ended may have been the last of its level, and that the last of the one above. */
function closeItem(open: number[]): void {
  while (open.length > 0) {
    const left = (open.pop() ?? 0) - 1;
    if (left > 0) {
      open.push(left);
      return;
    }
  }
}

function readUint(view: DataView, at: number, bytes: number): number {
  if (bytes === 1) return view.getUint8(at);
  if (bytes === 2) return view.getUint16(at);
  return bytes === 4 ? view.getUint32(at) : Number(view.getBigUint64(at));
}

const fixedBytes = 37;
const attestedBytes = 18;
const attestedFlag = 64;

/** The same of authenticator data (WebAuthn section 6.1): a key and extensions may follow its fixed part. */
export function isShallowAuthenticatorData(data: Uint8Array): boolean {
  if (data.length < fixedBytes) return false;
  const isAttested = ((data[fixedBytes - 5] ?? 0) & attestedFlag) !== 0;
  if (!isAttested) return isShallowCbor(data, fixedBytes);
  if (data.length < fixedBytes + attestedBytes) return false;
  const idLength = ((data[fixedBytes + 16] ?? 0) << 8) | (data[fixedBytes + 17] ?? 0);
  return isShallowCbor(data, fixedBytes + attestedBytes + idLength);
}
