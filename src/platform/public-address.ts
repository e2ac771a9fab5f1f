import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { isInNetworks, type Network } from './ip.ts';

/**
 * Whether an address may be called: public ones, and those that were listed. Everything that is
 * not plain unicast is private: loopback, link-local (and with it the metadata services of clouds), private
 * and carrier ranges, and IPv6 forms that wrap an IPv4 address.
 */
export function mayReach(address: string, allowed: readonly Network[]): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return isInNetworks(address, allowed) || (parsed.range() === 'unicast' && !isIpv4Compatible(parsed));
}

/** `::127.0.0.1`, a form of long ago (RFC 4291, 2.5.5.1) that some systems still take for the IPv4 address. */
function isIpv4Compatible(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return address instanceof ipaddr.IPv6 && address.match(ipaddr.IPv6.parse('::'), 96);
}

/** Checks the very addresses that are connected to: checking a name first would let it change in between. */
export function publicLookup(allowed: readonly Network[], refusal: (host: string) => string): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const reachable = addresses.filter(({ address }) => mayReach(address, allowed));
      const [first] = reachable;
      if (first === undefined) return callback(new Error(refusal(hostname)), '', 0);
      return options.all ? callback(null, reachable) : callback(null, first.address, first.family);
    });
  };
}

/** Whether a URL names an address itself that may not be called: it is connected to without a look-up. */
export function namesPrivateAddress(url: URL, allowed: readonly Network[]): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return /^[\d.]+$|:/.test(host) && !mayReach(host, allowed);
}
