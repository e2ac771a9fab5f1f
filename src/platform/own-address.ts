import { networkInterfaces } from 'node:os';

/** The first address that others could reach this machine at, IPv4 before IPv6; null: it has none. */
export function ownAddress(): string | null {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outward = addresses.filter((address) => !address.internal && !address.address.startsWith('fe80:'));
  return (outward.find((address) => address.family === 'IPv4') ?? outward[0])?.address ?? null;
}
