/** Forms that several variables share. */

export const hostPattern = [/^[A-Za-z0-9.:_[\]%-]{1,255}$/, 'set a host name or an IP address'] as const;
export const hostPortList = {
  values: 'host:port,…',
  check: (entry: string) =>
    /^[A-Za-z0-9._-]+:\d{1,5}$|^\[[0-9a-fA-F:.]+\]:\d{1,5}$/.test(entry)
      ? undefined
      : (['is no host:port', 'set host:port,host:port,…'] as const),
};
