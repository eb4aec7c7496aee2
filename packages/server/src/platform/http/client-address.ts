/**
 * Where a request comes from, and which bucket it is counted in.
 *
 * - `X-Forwarded-For` is believed only as far as it was written by proxies that are trusted: the list is walked from the
 *   right, and the first address that no trusted proxy owns is the client. What stands left of it is the client's own talk.
 * - Something that is no address ends the walk: the last proxy that was trusted is then the client.
 * - One client is one spelling: IPv4-mapped IPv6 is IPv4, zone ids and ports are dropped, IPv6 is written as in RFC 5952.
 * - Limits count IPv6 by /64: whoever has one address there has them all.
 */
import ipaddr from 'ipaddr.js';

/** `false`: the socket's peer is the client. A number: so many proxies stand before us. Or the proxies' CIDRs. */
export type ProxyTrust = false | number | readonly string[];

export interface ClientAddress {
  readonly address: string;
  readonly bucket: string;
}

export type ReadClientAddress = (peer: string, forwardedFor: readonly string[] | undefined) => ClientAddress;

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Proxies of one request that are looked at; a longer list is cut at its left, the untrusted end. */
const hopsMax = 32;
/** The longest spelling of an address with a port; anything longer is none. */
const addressLengthMax = 64;
const bucketBitsV6 = 64;
const unknownPeer: ClientAddress = { address: '0.0.0.0', bucket: '0.0.0.0' };

/** Throws on a CIDR that is none, or on a hop count out of 0 to 32: the configuration is read before the first request. */
export function createClientAddress(trust: ProxyTrust): ReadClientAddress {
  const isTrusted = trustRule(trust);
  return (peer, forwardedFor) => {
    let client = parseAddress(peer);
    // A Unix socket has no address; its other end is on this machine, and so is nobody in particular.
    if (client === undefined) return unknownPeer;
    if (forwardedFor === undefined || forwardedFor.length === 0) return describeAddress(client);
    const hops = lastHops(forwardedFor);
    for (let hop = 0; hop < hops.length && isTrusted(client, hop); hop++) {
      const next = parseAddress(hops[hops.length - 1 - hop] ?? '');
      if (next === undefined) break;
      client = next;
    }
    return describeAddress(client);
  };
}

/** Loopback, private, link-local or unique-local: who may read the operations routes when no token is set. */
export function isPrivateOrLoopback(address: string): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) return false;
  const range = parsed.range();
  return range === 'loopback' || range === 'private' || range === 'linkLocal' || range === 'uniqueLocal';
}

/** Whether the text is a CIDR or a single address, as `createClientAddress` takes them. */
export function isCidr(text: string): boolean {
  return parseCidr(text) !== undefined;
}

function trustRule(trust: ProxyTrust): (address: Address, hop: number) => boolean {
  if (trust === false) return () => false;
  if (typeof trust === 'number') {
    if (!Number.isInteger(trust) || trust < 0 || trust > hopsMax) {
      throw new RangeError(`a hop count is a whole number from 0 to ${hopsMax}`);
    }
    return (_address, hop) => hop < trust;
  }
  const ranges = trust.map((text) => {
    const range = parseCidr(text);
    if (range === undefined) throw new RangeError(`${JSON.stringify(text)} is neither a CIDR nor an address`);
    return range;
  });
  return (address) =>
    ranges.some(([network, bits]) => network.kind() === address.kind() && matches(address, network, bits));
}

function matches(address: Address, network: Address, bits: number): boolean {
  return address.kind() === 'ipv4'
    ? (address as ipaddr.IPv4).match(network as ipaddr.IPv4, bits)
    : (address as ipaddr.IPv6).match(network as ipaddr.IPv6, bits);
}

function parseCidr(text: string): readonly [Address, number] | undefined {
  const [address = '', length, ...rest] = text.trim().split('/');
  if (rest.length > 0 || address.includes('%')) return undefined;
  const bare = parseBare(address);
  if (bare === undefined) return undefined;
  const width = bare.kind() === 'ipv4' ? 32 : 128;
  const bits = length === undefined ? width : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  if (bits < 0 || bits > width) return undefined;
  const network = unmapped(bare);
  if (network.kind() === bare.kind()) return [network, bits];
  // An IPv4-mapped network narrower than /96 is IPv4; a wider one would trust more than it says.
  return bits >= 96 ? [network, bits - 96] : undefined;
}

/** The entries of all header lines, in order; only as many from the right as are ever looked at. */
function lastHops(lines: readonly string[]): readonly string[] {
  const hops: string[] = [];
  for (let line = lines.length - 1; line >= 0 && hops.length < hopsMax; line--) {
    let rest = lines[line] ?? '';
    while (hops.length < hopsMax) {
      const comma = rest.lastIndexOf(',');
      hops.push(rest.slice(comma + 1).trim());
      if (comma === -1) break;
      rest = rest.slice(0, comma);
    }
  }
  return hops.reverse();
}

/** An address as a socket or a proxy writes it: bare, in brackets, with a port, with a zone id. */
function parseAddress(text: string): Address | undefined {
  if (text.length > addressLengthMax) return undefined;
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1];
  const v4WithPort = /^(\d[\d.]*):\d{1,5}$/.exec(text)?.[1];
  const bare = parseBare(withoutZone(bracketed ?? v4WithPort ?? text));
  if (bare === undefined || (bracketed !== undefined && bare.kind() !== 'ipv6')) return undefined;
  return unmapped(bare);
}

function withoutZone(text: string): string {
  const zone = /^([0-9A-Fa-f:.]+)%[0-9A-Za-z._-]+$/.exec(text)?.[1];
  return zone?.includes(':') ? zone : text;
}

/** Four decimal parts or RFC 4291; octal, hexadecimal and shortened IPv4 spellings are no addresses. */
function parseBare(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (!text.includes(':') || !/^[0-9A-Fa-f:.]+$/.test(text) || !ipaddr.IPv6.isValid(text)) return undefined;
  return ipaddr.IPv6.parse(text);
}

const unmapped = (address: Address): Address =>
  address.kind() === 'ipv6' && (address as ipaddr.IPv6).isIPv4MappedAddress()
    ? (address as ipaddr.IPv6).toIPv4Address()
    : address;

function describeAddress(address: Address): ClientAddress {
  if (address.kind() === 'ipv4') {
    const text = address.toString();
    return { address: text, bucket: text };
  }
  const v6 = address as ipaddr.IPv6;
  const network = new ipaddr.IPv6([...v6.parts.slice(0, 4), 0, 0, 0, 0]);
  return { address: v6.toRFC5952String(), bucket: `${network.toRFC5952String()}/${bucketBitsV6}` };
}
