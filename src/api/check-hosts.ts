import { MonitorError } from '../core/error.ts';
import type { TokenRecord } from '../core/token.ts';

/**
 * A write token reports one host.
 * @param token null where none is required
 * @throws MonitorError `forbidden` when one of the snapshots is of another host
 */
export function checkHosts(token: TokenRecord | null, snapshots: readonly { host: string }[]): void {
  if (token === null || token.role === 'admin') return;
  const other = snapshots.find((snapshot) => snapshot.host !== token.host);
  if (other === undefined) return;
  throw new MonitorError(
    'forbidden',
    `token ${token.id} may report '${token.host}' and not '${other.host}'; set --host, or make a token for that host`,
  );
}
