import ipaddr from 'ipaddr.js';

/**
 * The canonical text of an IP address, or null when it is none. Dots, colons and hyphens are all
 * accepted as separators (`216-58-213-68`, `2001-db8--1`), since the older REST clients put hyphens in
 * paths. IPv4 that arrives mapped into IPv6 comes out as IPv4.
 */
export function canonicalIp(text: string): string | null {
  const dotted = /^\d+(-\d+){3}$/.test(text) ? text.replaceAll('-', '.') : text.replaceAll('-', ':');
  const isFourPart = /^\d+(\.\d+){3}$/.test(dotted);
  if (!isFourPart && !ipaddr.IPv6.isValid(dotted)) return null;
  if (isFourPart && !ipaddr.IPv4.isValidFourPartDecimal(dotted)) return null;
  return ipaddr.process(dotted).toString();
}

/** All addresses that share their first `bits` with one. */
export interface Network {
  address: string;
  bits: number;
}

/** Whether an address is in one of these; one that is none is not. */
export function isInNetworks(address: string, networks: readonly Network[]): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return networks.some((network) => {
    const base = ipaddr.process(network.address);
    return base.kind() === parsed.kind() && parsed.match(base as ipaddr.IPv4 & ipaddr.IPv6, network.bits);
  });
}

/** Whether only this machine has it. */
export function isLoopbackAddress(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback';
}
