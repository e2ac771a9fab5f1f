import type { Forecast } from '../../core/forecast.ts';
import { placedAt } from '../../core/host-clock.ts';
import { hostMetrics, processColumnIds, snakeCase } from '../../core/metric.ts';
import type { MetricSample } from '../../core/sample.ts';
import { type Series, seriesKey } from '../../core/series.ts';
import { type Snapshot, type SnapshotHeader, usageAt } from '../../core/snapshot.ts';
import type { HourTally } from '../../core/tally.ts';
import type { UsageRow } from '../../core/usage-row.ts';
import type { Row } from './connection.ts';
import type { Value } from './row-binary.ts';
import { metricColumn, scaleOf } from './schema.ts';

/** What is stored, as rows in the order of the tables' columns, and back. */

/** Made once: there are many rows. */
const usageColumns = processColumnIds.map((id) => ({ id, column: snakeCase(id), scale: scaleOf(id) }));

export function processRows({ host, ip, time, processes }: Snapshot): Value[][] {
  return processes.name.map((name, index) => {
    const usage = usageAt(processes, index);
    const values = usageColumns.map(({ id, scale }) => {
      const value = usage[id];
      return value === null ? null : Math.round(value * scale);
    });
    return [host, name, time, ip, ...values];
  });
}

/** Of those that may be the newest of their hosts. */
export function newestRows(snapshots: readonly Snapshot[]): Value[][] {
  const placed = snapshots.filter(({ isFromFuture }) => !isFromFuture);
  return placed.map((snapshot) => [snapshot.host, Math.round(placedAt(snapshot)), snapshot.time]);
}

export function snapshotRow(snapshot: Snapshot): Value[] {
  const { host, time, isFromFuture, ip, intervalMs, bootId, cores, memoryBytes, limitedBy, metrics } = snapshot;
  const placed = Math.round(placedAt(snapshot));
  const known = hostMetrics.map((metric) => metrics[metric] ?? null);
  return [
    host,
    time,
    placed,
    isFromFuture ? 1 : 0,
    ip,
    intervalMs,
    bootId,
    cores,
    memoryBytes,
    limitedBy,
    ...known,
    snapshot.processes.name.length,
  ];
}

export function sampleRow({ series, kind, time, value, owner }: MetricSample): Value[] {
  return [series.metric, seriesKey(series), owner, kind, time, value === 'exited' ? null : value];
}

export function forecastRow(forecast: Forecast): Value[] {
  return ofSeries(forecast.series, forecast.time, forecast);
}

export function tallyRow(tally: HourTally): Value[] {
  return ofSeries(tally.series, tally.time, tally);
}

function ofSeries(series: Series, time: number, body: object): Value[] {
  return [seriesKey(series), time, series.metric, series.labels.host ?? '', JSON.stringify(body)];
}

export function toUsage(row: Row): UsageRow {
  const usage: Record<string, unknown> = { host: row.host, time: Number(row.time), name: row.name };
  for (const { id, column, scale } of usageColumns) {
    const value = numberOf(row[column]);
    usage[id] = value === null ? null : value / scale;
  }
  return usage as UsageRow;
}

export function toHeader(row: Row): SnapshotHeader {
  const metrics = hostMetrics.flatMap((metric) => {
    const value = numberOf(row[metricColumn(metric)]);
    return value === null ? [] : [[metric, value]];
  });
  return {
    host: String(row.host),
    ip: textOf(row.ip),
    time: Number(row.time),
    intervalMs: Number(row.interval_ms),
    bootId: textOf(row.boot_id),
    cores: numberOf(row.cores),
    memoryBytes: numberOf(row.memory_total_bytes),
    limitedBy: row.limited_by === 'cgroup' ? 'cgroup' : 'host',
    metrics: Object.fromEntries(metrics),
    ...(Number(row.is_from_future) === 1 && { isFromFuture: true as const }),
  };
}

/** Numbers of 64 bits come as texts. */
export function numberOf(value: Row[string] | undefined): number | null {
  return value == null ? null : Number(value);
}

function textOf(value: Row[string] | undefined): string | null {
  return value == null ? null : String(value);
}
