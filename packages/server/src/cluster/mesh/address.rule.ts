/** Addresses of nodes: `host:port`, an IPv6 one in brackets. */

export interface Address {
  readonly host: string;
  readonly port: number;
}

export const writeAddress = ({ host, port }: Address): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

export function readAddress(text: string): Address | undefined {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

export interface NetworkAddress {
  readonly address: string;
  readonly family: string;
  readonly internal: boolean;
}

/** What the other nodes are told where nothing is set: the first address that is not loopback, IPv4 before IPv6. */
export function ownHost(networks: Readonly<Record<string, readonly NetworkAddress[] | undefined>>): string {
  const outside = Object.values(networks)
    .flatMap((of) => of ?? [])
    .filter(({ address, internal }) => !internal && !address.startsWith('fe80:'));
  const found = outside.find(({ family }) => family === 'IPv4') ?? outside[0];
  return found?.address ?? '127.0.0.1';
}

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
