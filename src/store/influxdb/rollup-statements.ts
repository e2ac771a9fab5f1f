import { sketched } from '../../core/bucket.ts';
import { meanColumnIds, snakeCase, type UsageMetric } from '../../core/metric.ts';
import type { TimeWindow } from '../../core/store.ts';
import { type RollupLength, rollupLengths } from './rollup-points.ts';
import { during, ofHosts } from './statements.ts';

/** InfluxQL of roll-ups. */

/** How many snapshots each host has sent in each ten minutes, from-the-future ones too: two series of one host add up. */
export function snapshotCountsStatement(window: TimeWindow, hosts: readonly string[] | undefined): string {
  // A step of InfluxDB has its beginning in it, ours its end.
  return `SELECT COUNT("interval_ms") AS snapshots FROM "snapshot", "snapshot_from_future"
    WHERE ${during(window)}${ofHosts({ ...(hosts && { hosts }) })} GROUP BY "host", time(${rollupLengths['10m']}ms, 1ms) FILL(none)`;
}

const about = '"snapshots", "parts", "series", "sums_of"';

/** Which roll-ups there are, part by part. */
export function rollupMarksStatement(window: TimeWindow, hosts: readonly string[] | undefined): string {
  return `SELECT ${about} FROM "process_rollup" WHERE ${begunIn(window)}${ofHosts({ ...(hosts && { hosts }) })} GROUP BY "host", "length", "part"`;
}

/** What a roll-up has: a summary of a column, or what means are made of. */
export type RollupField = UsageMetric | 'sums';

/** What they say. */
export function rollupsStatement(
  fields: readonly RollupField[],
  length: RollupLength,
  window: TimeWindow,
  hosts: readonly string[] | undefined,
): string {
  const texts = fields.map((field) => `"${snakeCase(field)}"`).join(', ');
  return `SELECT ${about}, "processes", ${texts} FROM "process_rollup"
    WHERE ${begunIn(window)} AND "length" = '${length}'${ofHosts({ ...(hosts && { hosts }) })} GROUP BY "host", "length", "part"`;
}

/** The values of all processes of a host that are rolled up. */
export function valuesStatement(host: string, window: TimeWindow): string {
  const fields = [...new Set([...sketched, ...meanColumnIds])].map((column) => `"${snakeCase(column)}"`).join(', ');
  return `SELECT ${fields} FROM "process" WHERE ${during(window)}${ofHosts({ hosts: [host] })} GROUP BY "process"`;
}

/** That of `from` is in the window, that of `to` is not: it is of what comes after. */
function begunIn({ from, to }: TimeWindow): string {
  return during({ from: from - 1, to: to - 1 });
}
