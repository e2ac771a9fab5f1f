import { MonitorError } from '../core/error.ts';
import { type Series, seriesKey } from '../core/series.ts';
import type { TokenRecord } from './token.ts';

/**
 * A write token reports one host.
 * @param token null where none is required
 * @throws MonitorError `forbidden` when one of the snapshots is of another host
 */
export function checkHosts(token: TokenRecord | null, snapshots: readonly { host: string }[]): void {
  if (token === null || token.role === 'admin') return;
  if (token.host === null)
    throw new MonitorError(
      'forbidden',
      `token ${token.id} is of the source '${token.source}' and reports no hosts; make a token with --host for that`,
    );
  const other = snapshots.find((snapshot) => snapshot.host !== token.host);
  if (other === undefined) return;
  throw new MonitorError(
    'forbidden',
    `token ${token.id} may report '${token.host}' and not '${other.host}'; set --host, or make a token for that host`,
  );
}

/**
 * A write token of a host writes series of that host, one of a source series of that source.
 * @throws MonitorError `forbidden` that names the first that is of another
 */
export function checkSeries(token: TokenRecord | null, samples: readonly { series: Series }[]): void {
  if (token === null || token.role === 'admin') return;
  const [label, own] = token.host === null ? ['source', token.source] : ['host', token.host];
  const other = samples.find(({ series }) => series.labels[label] !== own);
  if (other === undefined) return;
  throw new MonitorError(
    'forbidden',
    `token ${token.id} may write series with ${label}="${own}" and not ${seriesKey(other.series)}; set that label, or make a token for it`,
  );
}

/**
 * Whose new series one is, as `MetricSample.owner` has it: of a token's own host or source, whatever labels it sends,
 * so that nobody spends the budget of another; of who may write any it is what the labels say.
 */
export function seriesOwner({ labels }: Pick<Series, 'labels'>, token: TokenRecord | null): string {
  const { host, source } = token?.role === 'write' ? token : labels;
  if (host != null) return `host ${host}`;
  return source == null ? '' : `source ${source}`;
}
