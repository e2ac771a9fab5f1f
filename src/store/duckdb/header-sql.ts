import { hostColumn, hostMetrics } from '../../core/metric.ts';
import type { SnapshotHeader } from '../../core/snapshot.ts';
import type { TimeWindow } from '../../core/store.ts';
import type { Dictionary } from './dictionary.ts';
import type { Row } from './readers.ts';
import { num } from './sql-text.ts';

/** More than one of a host where a clock was set back so that two have one place. */
export function hostsSql(at: number): string {
  return `
    SELECT snapshot.host, snapshot.time::DOUBLE AS time, ip, header, metrics FROM snapshot
    JOIN (SELECT host, max(placed) AS placed FROM snapshot
      WHERE placed <= ${num(at)} AND received IS NULL GROUP BY host) newest
      ON snapshot.host = newest.host AND snapshot.placed = newest.placed
    WHERE received IS NULL`;
}

export function headersSql({ from, to }: TimeWindow): string {
  return `SELECT host, time::DOUBLE AS time, ip, header, metrics, received IS NOT NULL AS is_from_future FROM snapshot
    WHERE time > ${num(from)} AND time <= ${num(to)}`;
}

/** What of a header is kept as one text. */
export type KeptHeader = Pick<SnapshotHeader, 'intervalMs' | 'bootId' | 'cores' | 'memoryBytes' | 'limitedBy'>;

export function toHeader(row: Row, hosts: Dictionary): SnapshotHeader {
  const values = JSON.parse(row.metrics as string) as (number | null)[];
  const metrics = hostMetrics.map((metric) => [metric, values[hostColumn(metric).place] ?? null] as const);
  const { intervalMs, bootId, cores, memoryBytes, limitedBy } = JSON.parse(row.header as string) as KeptHeader;
  return {
    host: hosts.text(row.host as number),
    time: row.time as number,
    ip: row.ip as string | null,
    intervalMs,
    bootId,
    cores,
    memoryBytes,
    limitedBy,
    metrics: Object.fromEntries(metrics.filter(([, value]) => value !== null)),
    ...(row.is_from_future === true && { isFromFuture: true as const }),
  };
}
