/** Forms that several variables share. */

export const hostPattern = [/^[A-Za-z0-9.:_[\]%-]{1,255}$/, 'set a host name or an IP address'] as const;
export const hostPortList = {
  values: 'host:port,…',
  check: (entry: string) =>
    /^([A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):[1-9]\d{0,4}$/.test(entry) && portOf(entry) <= 65_535
      ? undefined
      : (['is no host:port', 'set host:port,host:port,…'] as const),
};

const portOf = (entry: string): number => Number(entry.slice(entry.lastIndexOf(':') + 1));

/** Of an entry of such a list. */
export function readHostPort(text: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: portOf(text) };
}
