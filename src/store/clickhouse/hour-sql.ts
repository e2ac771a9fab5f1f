import { bucketRatio, sketched, zeroBucket } from '../../core/bucket.ts';
import { snakeCase, type UsageMetric, usageMetrics } from '../../core/metric.ts';
import type { TimeWindow } from '../../core/store.ts';
import { hourMs } from './hour-plan.ts';
import { type Figure, figures, hourTable } from './schema.ts';
import { during, duringBins, literal, whole } from './sql-text.ts';

/** Of all values, also where there are none. */
const figureOf: Record<Figure, (column: string) => string> = {
  known: (column) => `toInt64(count(${column}))`,
  sum: (column) => `ifNull(sum(toFloat64(${column})), 0)`,
  spread: spreadSql,
  least: (column) => `min(${column})`,
  most: (column) => `max(${column})`,
};

/** The sum of squared differences from the mean: `varPop` of 18.16 loses values that are large and close together. */
export function spreadSql(column: string): string {
  const variance = `varPopStableIf(assumeNotNull(${column}), isNotNull(${column}))`;
  return `if(count(${column}) = 0, 0, ${variance} * count(${column}))`;
}

/** The bucket of a value, as it is stored, that is not null. */
export function bucketSql(value: string): string {
  return `toInt32(if(${value} = 0, ${zeroBucket}, ceil(log(${value}) / ${Math.log(bucketRatio)})))`;
}

function bucketsSql(id: UsageMetric): string[] {
  const column = snakeCase(id);
  const bucket = bucketSql(`assumeNotNull(${column})`);
  const counted = `sumMap(if(isNull(${column}), emptyArrayInt32(), [${bucket}]), if(isNull(${column}), emptyArrayUInt64(), [toUInt64(1)]))`;
  return [1, 2].map((place) => `tupleElement(${counted}, ${place})`);
}

/** What is rolled up of a row. */
export const rolledColumns = ['host', 'name', ...usageMetrics.map(snakeCase)];

/**
 * Writes the roll-ups of one hour.
 * @param hosts of how many snapshots these are, at least
 * @param rows theirs of that hour, to be asked FROM
 */
export function rollSql(hour: number, hosts: ReadonlyMap<string, number>, rows: string): string {
  const names = [...hosts.keys()].map(literal).join(', ');
  const snapshots = [...hosts.values()].map((count) => `toInt64(${whole(count)})`).join(', ');
  const values = [
    'host',
    'name',
    `toInt64(${whole(hour)})`,
    `transform(host, [${names}], [${snapshots}], toInt64(0))`,
    'toInt64(count())',
    ...usageMetrics.flatMap((id) => figures.map((figure) => figureOf[figure](snakeCase(id)))),
    ...sketched.flatMap(bucketsSql),
  ];
  const columns = hourTable.columns.map(({ name }) => name);
  return `INSERT INTO ${hourTable.name} (${columns.join(', ')}) SELECT ${values.join(', ')} FROM ${rows} GROUP BY host, name`;
}

/** The beginning of the hour that a time is in. */
const hourOf = `intDiv(time, ${hourMs}) * ${hourMs}`;

/** Of each host and hour: how many snapshots there are, how many rows they say that they have, at least, and of how many it has been rolled up into how many rows. */
function rolledSql(window: TimeWindow, condition: string): string {
  // It keeps each time until it has counted them: of 32 bits they take half as much.
  return `SELECT host, hour, sum(raw) AS snapshots, sum(said) AS told, sum(rolled) AS of_snapshots, sum(own) AS names FROM (
      SELECT host, ${hourOf} AS hour, toInt64(uniqExact(toUInt32(time % ${hourMs}))) AS raw,
        toInt64(ifNull(sum(process_rows), 0)) AS said, toInt64(0) AS rolled, toInt64(0) AS own
      FROM snapshot WHERE ${duringBins(window)} AND ${condition} GROUP BY host, hour
      UNION ALL
      SELECT host, time AS hour, toInt64(0) AS raw, toInt64(0) AS said, max(of_snapshots) AS rolled, argMax(names, of_snapshots) AS own
      FROM rolled_hour WHERE ${during(window)} AND ${condition} GROUP BY host, hour)
    GROUP BY host, hour`;
}

/** `HourState` of each hour that something is in. @param window of whole hours */
export function statesSql(window: TimeWindow, condition: string): string {
  return `SELECT hour, sum(raw) AS snapshots, max(stale) AS is_stale, sum(names) AS written, sum(own) AS there FROM (
      SELECT hour, sum(snapshots) AS raw, max(snapshots > of_snapshots) AS stale, sum(names) AS names, toInt64(0) AS own
      FROM (${rolledSql(window, condition)}) GROUP BY hour
      UNION ALL
      SELECT time AS hour, toInt64(0) AS raw, toUInt8(0) AS stale, toInt64(0) AS names, toInt64(count()) AS own
      FROM process_hour WHERE ${during(window)} AND ${condition} GROUP BY hour)
    GROUP BY hour`;
}

/** When parts of so long begin in which there are snapshots. */
export function spansSql(window: TimeWindow, spanMs: number): string {
  const start = `intDiv(time, ${spanMs}) * ${spanMs}`;
  return `SELECT DISTINCT ${start} AS start FROM snapshot WHERE ${duringBins(window)} ORDER BY start DESC`;
}

/**
 * Hours of hosts that have more snapshots than are rolled up, or roll-ups that have been lost, the newest first, with
 * how many rows they are of.
 * @param window of whole hours
 */
export function dueSql(window: TimeWindow, most: number): string {
  return `SELECT host, hour, sum(raw) AS snapshots, sum(said) AS told FROM (
      SELECT host, hour, snapshots AS raw, told AS said, of_snapshots AS rolled, names AS written, toInt64(0) AS own
      FROM (${rolledSql(window, '1')})
      UNION ALL
      SELECT host, time AS hour, toInt64(0) AS raw, toInt64(0) AS said, toInt64(0) AS rolled, toInt64(0) AS written, toInt64(count()) AS own
      FROM process_hour WHERE ${during(window)} GROUP BY host, hour)
    GROUP BY host, hour HAVING snapshots > 0 AND (snapshots > sum(rolled) OR sum(own) < sum(written))
    ORDER BY hour DESC, host LIMIT ${whole(most)}`;
}

/** How many roll-ups of an hour some hosts have, and of how many rows; how many snapshots, and what these say of their rows. */
export function writtenSql(hour: number, hosts: string): string {
  // What is called as a column of the table is would be taken for it.
  return `SELECT host, sum(rolled) AS names, sum(seen) AS rows, sum(sent) AS snapshots, sum(said) AS told FROM (
      SELECT host, toInt64(count()) AS rolled, sum(snapshots) AS seen, toInt64(0) AS sent, toInt64(0) AS said
      FROM process_hour FINAL WHERE time = ${whole(hour)} AND ${hosts} GROUP BY host
      UNION ALL
      SELECT host, toInt64(0) AS rolled, toInt64(0) AS seen, toInt64(count()) AS sent, toInt64(ifNull(sum(process_rows), 0)) AS said
      FROM snapshot FINAL WHERE ${duringBins({ from: hour - 1, to: hour + hourMs - 1 })} AND ${hosts} GROUP BY host)
    GROUP BY host`;
}
