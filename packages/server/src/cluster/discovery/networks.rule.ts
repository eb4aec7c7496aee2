/**
 * On which networks to gossip: that of the address which the other nodes are told, where it is one of this machine's; else all
 * that are not loopback; else loopback, for several nodes on a machine without a network.
 */
import { isIPv4 } from 'node:net';

export interface NetworkAddress {
  readonly address: string;
  readonly internal: boolean;
}

export function gossipInterfaces(
  told: string | undefined,
  networks: Readonly<Record<string, readonly NetworkAddress[] | undefined>>,
): readonly string[] {
  const all = Object.values(networks)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address }) => isIPv4(address));
  const own = all.find(({ address }) => address === told);
  if (own !== undefined) return [own.address];
  const outer = all.filter(({ internal }) => !internal);
  return (outer.length > 0 ? outer : all).map(({ address }) => address);
}
