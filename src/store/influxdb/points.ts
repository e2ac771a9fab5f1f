import { Point } from '@influxdata/influxdb-client';
import type { Forecast } from '../../core/forecast.ts';
import { placedAt } from '../../core/host-clock.ts';
import { type HostMetric, hostMetrics, processColumn, processColumnIds, snakeCase } from '../../core/metric.ts';
import type { MetricSample } from '../../core/sample.ts';
import { parseSeries } from '../../core/selector.ts';
import { isOfOtherSource, type Series, seriesKey } from '../../core/series.ts';
import { type Snapshot, type SnapshotHeader, usageAt } from '../../core/snapshot.ts';
import { emptyTally, type HourTally, tallyCounts } from '../../core/tally.ts';
import type { UsageRow } from '../../core/usage-row.ts';
import { legacySeries } from '../legacy-series.ts';
import type { Row } from './connection.ts';
import { decodeName, encodeName } from './name-codec.ts';

/**
 * The data model: measurement `process` (tags host, process; one point per name and snapshot) and
 * `snapshot` (tag host; the header and the system totals), or `snapshot_from_future`. pid is a field: as a tag every process ever
 * started would be a series. Null is no field at all.
 */

/** `system.load1` -> `system_load1`: the names of before the catalogue, which are not all in snake case. */
export function metricField(metric: HostMetric): string {
  return metric.replace('.', '_');
}

/** Made once: there are many rows. */
const usageFields = processColumnIds.map((id) => ({
  id,
  field: snakeCase(id),
  isWhole: processColumn(id).decimals === 0,
}));

/** The points of a snapshot. The header comes last: where it is, the rest is. */
export function toPoints(snapshot: Snapshot): Point[] {
  const points = snapshot.processes.name.map((name, index) => {
    const usage = usageAt(snapshot.processes, index);
    const point = new Point('process').tag('host', encodeName(snapshot.host)).tag('process', encodeName(name));
    point.timestamp(snapshot.time);
    if (snapshot.ip !== null) point.stringField('ip', snapshot.ip);
    for (const { id, field, isWhole } of usageFields) {
      const value = usage[id];
      if (value === null) continue;
      if (isWhole) point.intField(field, value);
      else point.floatField(field, value);
    }
    return point;
  });
  return [...points, headerPoint(snapshot)];
}

function headerPoint(snapshot: Snapshot): Point {
  // A marked snapshot is kept, and is no host's newest.
  const measurement = snapshot.isFromFuture ? 'snapshot_from_future' : 'snapshot';
  const point = new Point(measurement).tag('host', encodeName(snapshot.host)).timestamp(snapshot.time);
  point.intField('interval_ms', snapshot.intervalMs).stringField('limited_by', snapshot.limitedBy);
  if (snapshot.ip !== null) point.stringField('ip', snapshot.ip);
  if (snapshot.bootId !== null) point.stringField('boot_id', encodeName(snapshot.bootId));
  setFloat(point, 'cores', snapshot.cores);
  setFloat(point, 'memory_total_bytes', snapshot.memoryBytes);
  // The last of a host whose clock is off is found by the one, the last of when it was right by the other.
  if (placedAt(snapshot) === snapshot.time) point.booleanField('is_right', true);
  else setFloat(point, 'placed_ms', placedAt(snapshot));
  for (const metric of hostMetrics) setFloat(point, metricField(metric), snapshot.metrics[metric]);
  return point;
}

/** Measurement `tried`: that it could be written. InfluxDB gives it its own time. */
export function triedPoint(): Point {
  return new Point('tried').intField('count', 1).timestamp('');
}

/** Measurement `new_names`: how many process names a host has brought along today, so far. */
export function newNamesPoint(host: string, names: number, time: number): Point {
  return new Point('new_names').tag('host', encodeName(host)).timestamp(time).intField('count', names);
}

/** Measurement `new_series`: the same of series of other sources, by whom they are of. */
export function newSeriesPoint(owner: string, names: number, time: number): Point {
  return new Point('new_series').tag('owner', encodeName(owner)).timestamp(time).intField('count', names);
}

/** Measurement `metric`: a sample of another source, or where its series has ended; its labels are in the tag `series`. */
export function toSamplePoint({ series, kind, time, value, owner }: MetricSample): Point {
  const point = new Point('metric').tag('name', series.metric).tag('series', encodeName(seriesKey(series)));
  point.tag('owner', encodeName(owner)).tag('kind', kind).timestamp(time);
  return value === 'exited' ? point.booleanField('ended', true) : point.floatField('value', value);
}

/** Measurement `accuracy`: of an hour of forecasts, tags as in `forecast`. `leads` are milliseconds, with blanks between. */
export function toTallyPoint({ time, series, isMuted, tally }: HourTally): Point {
  const point = taggedPoint('accuracy', series).timestamp(time);
  for (const count of tallyCounts) point.floatField(count, tally[count]);
  return point.booleanField('muted', isMuted).stringField('leads', tally.leadsMs.join(' '));
}

/** The sums of a series, the lead times of each of its hours, and whether it was muted in the last. */
export function toTally(sums: Row, leads: readonly Row[], last: Row | undefined): HourTally {
  const tally = emptyTally();
  for (const count of tallyCounts) tally[count] = numberOf(sums[count]) ?? 0;
  const texts = leads.map((row) => String(row.leads ?? '')).filter((text) => text !== '');
  tally.leadsMs = texts.flatMap((text) => text.split(' ').map(Number));
  return { series: seriesOf(sums), time: Number(last?.time ?? sums.time), isMuted: last?.muted === true, tally };
}

/** Tags of a series of ours: metric, host and process; of another source: metric, series and, where it has one, host. */
function taggedPoint(measurement: string, series: Series): Point {
  const { metric, labels } = series;
  const point = new Point(measurement).tag('metric', metric);
  if (isOfOtherSource(metric)) point.tag('series', encodeName(seriesKey(series)));
  if (labels.host !== undefined) point.tag('host', encodeName(labels.host));
  if (labels.process !== undefined) point.tag('process', encodeName(labels.process));
  return point;
}

/** Of a row with these tags; up to 0.3.0 the metric was what thresholds call it. */
function seriesOf(row: Row): Series {
  const text = (tag: string) => (row[tag] == null || row[tag] === '' ? null : decodeName(String(row[tag])));
  const key = text('series');
  // One that cannot be read somebody else has written.
  if (key !== null) return parseSeries(key) ?? { metric: 'unreadable', labels: {} };
  const [host, process, metric] = [text('host') ?? '', text('process'), String(row.metric)];
  if (isOfOtherSource(metric)) return legacySeries(host, process, metric);
  return { metric, labels: process === null ? { host } : { host, process } };
}

/** Measurement `forecast`. */
export function toForecastPoint(forecast: Forecast): Point {
  const { series, time, intervalSeconds, reason } = forecast;
  const point = taggedPoint('forecast', series).timestamp(time);
  const [low, high] = intervalSeconds ?? [null, null];
  const numbers = {
    value: forecast.value,
    threshold: forecast.threshold,
    probability: forecast.probability,
    amber_since: forecast.amberSince,
    notify_since: forecast.notifySince,
    eta: forecast.etaSeconds,
    eta_low: low,
    eta_high: high,
  };
  for (const [field, value] of Object.entries(numbers)) setFloat(point, field, value);
  return point.booleanField('muted', forecast.isMuted).stringField('reason', reason);
}

export function toForecast(row: Row): Forecast {
  const [low, high] = [numberOf(row.eta_low), numberOf(row.eta_high)];
  return {
    time: Number(row.time),
    series: seriesOf(row),
    value: Number(row.value),
    threshold: Number(row.threshold),
    probability: numberOf(row.probability),
    amberSince: numberOf(row.amber_since),
    notifySince: numberOf(row.notify_since),
    isMuted: row.muted === true,
    etaSeconds: numberOf(row.eta),
    intervalSeconds: low === null || high === null ? null : [low, high],
    reason: String(row.reason ?? ''),
  };
}

function setFloat(point: Point, field: string, value: number | null | undefined): void {
  if (value !== null && value !== undefined) point.floatField(field, value);
}

export function toUsage(row: Row): UsageRow {
  const usage: Record<string, unknown> = {
    host: decodeName(String(row.host)),
    time: Number(row.time),
    name: decodeName(String(row.process)),
  };
  for (const { id, field } of usageFields) usage[id] = numberOf(row[field]);
  return usage as UsageRow;
}

export function toHeader(row: Row): SnapshotHeader {
  const metrics = hostMetrics.flatMap((metric) => {
    const value = numberOf(row[metricField(metric)]);
    return value === null ? [] : [[metric, value]];
  });
  return {
    host: decodeName(String(row.host)),
    ip: (row.ip as string | null | undefined) ?? null,
    time: Number(row.time),
    intervalMs: Number(row.interval_ms),
    bootId: typeof row.boot_id === 'string' ? decodeName(row.boot_id) : null,
    cores: numberOf(row.cores),
    memoryBytes: numberOf(row.memory_total_bytes),
    limitedBy: row.limited_by === 'cgroup' ? 'cgroup' : 'host',
    metrics: Object.fromEntries(metrics),
  };
}

export function numberOf(value: Row[string] | undefined): number | null {
  return typeof value === 'number' ? value : null;
}
