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
