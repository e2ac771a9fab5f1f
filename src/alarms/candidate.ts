import type { AlarmSubject } from '../core/alarm.ts';
import type { HostMetric } from '../core/metric.ts';
import { familyOf, hostSeries, processSeries, type Series, seriesKey } from '../core/series.ts';
import { reservedNames, type SnapshotHeader } from '../core/snapshot.ts';
import { isProcessThreshold, levelFactor, type Threshold, usageColumn } from '../core/threshold.ts';
import type { ThresholdSet } from '../core/threshold-set.ts';
import type { Above, UsageRow } from '../core/usage-row.ts';
import type { RunQuery } from './run.ts';

/** Who has reported a candidate's value: a host, or another source as if it were one. */
export type Reporter = Pick<SnapshotHeader, 'host' | 'ip' | 'time' | 'intervalMs' | 'metrics' | 'seenAt'>;

/** A value of its reporter's newest snapshot that is over its clear level, or was of late: RED if its run says so. */
export interface Candidate extends Omit<RunQuery, 'gapMs' | 'until'> {
  header: Reporter;
  /** Of its series: it is asked for often. */
  key: string;
  threshold: Threshold;
  subject: AlarmSubject;
  value: number;
}

/** The lowest level of each stored column that can matter to any host: a filter for the store. */
export function prefilter(thresholds: readonly Threshold[], hosts: readonly SnapshotHeader[]): Above {
  const above: Above = {};
  for (const threshold of thresholds.filter(isProcessThreshold)) {
    const factors = hosts.map((header) => levelFactor(threshold, header.cores));
    const column = usageColumn(threshold);
    above[column] = Math.min(above[column] ?? Infinity, threshold.clear * Math.min(...factors, Infinity));
  }
  return above;
}

/**
 * All of hosts and processes that is over its clear level now, or was of late and may still be RED.
 * @param rows those that are or were over some level
 * @param held keys of series that were over their clear level of late
 */
export function candidates(
  lines: ThresholdSet,
  hosts: readonly SnapshotHeader[],
  rows: readonly UsageRow[],
  held: ReadonlySet<string> = new Set(),
): Candidate[] {
  const byHost = new Map(hosts.map((header) => [header.host, header]));
  const found: Candidate[] = [];
  for (const quantity of lines.quantities('process'))
    for (const row of rows) {
      const header = byHost.get(row.host);
      const line = lines.lineFor(quantity, { host: row.host, process: row.name });
      if (line === undefined || header === undefined || reservedNames.has(row.name)) continue;
      const column = usageColumn(line);
      const subject = { kind: 'process', name: row.name, pid: pidOf(row, line) } as const;
      addCandidate(found, header, line, processSeries(column, row.host, row.name), row[column], subject, held);
    }
  for (const quantity of lines.quantities('host'))
    for (const header of hosts) {
      const line = lines.lineFor(quantity, { host: header.host });
      if (line === undefined) continue;
      const { column } = familyOf(line.selector.metric) as { column: HostMetric };
      const value = header.metrics[column] ?? null;
      addCandidate(found, header, line, hostSeries(column, header.host), value, { kind: 'system' }, held);
    }
  return found;
}

/** The newest value of a series of another source. */
export function seriesCandidate(threshold: Threshold, series: Series, header: Reporter, value: number): Candidate {
  const { red, clear, forMs, holdMs } = threshold;
  return {
    header,
    key: seriesKey(series),
    threshold,
    series,
    value,
    subject: { kind: 'series' },
    red,
    clear,
    forMs,
    holdMs,
  };
}

function addCandidate(
  found: Candidate[],
  header: SnapshotHeader,
  threshold: Threshold,
  series: Series,
  value: number | null,
  subject: AlarmSubject,
  held: ReadonlySet<string>,
): void {
  const factor = levelFactor(threshold, header.cores);
  if (value === null || (value <= threshold.clear * factor && held.size === 0)) return;
  const key = seriesKey(series);
  if (value <= threshold.clear * factor && !held.has(key)) return;
  const { red, clear, forMs, holdMs } = threshold;
  found.push({
    header,
    key,
    threshold,
    series,
    value: value / factor,
    subject,
    red: red * factor,
    clear: clear * factor,
    forMs,
    holdMs,
  });
}

/** `pid` is of the instance with the most CPU: of several, that need not be the one with the most memory. */
function pidOf(row: UsageRow, threshold: Threshold): number | null {
  return threshold.metric === 'cpu' || row.count === 1 ? row.pid : null;
}
