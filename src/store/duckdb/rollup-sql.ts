import { processColumn, snakeCase, type UsageMetric, usageMetrics } from '../../core/metric.ts';
import { type Figure, figures } from './schema.ts';

/**
 * Roll-ups: what is kept of the rows of one process name on one host in one minute or hour. Those of the same time, host
 * and name add up, so that what comes late is one more of them.
 *
 * Of each column: how many values are known, their sum and the sum of their squares, the smallest, the largest and the
 * last, in the units in which they are stored. What follows is left out where it costs space: the squares and the last
 * of values that are all the same, as they nearly always are, and all of a peak that is always the value itself.
 */

/** The column that a peak is of. */
function ofPeak(id: UsageMetric): UsageMetric | undefined {
  return processColumn(id).insteadOfMissing as UsageMetric | undefined;
}

const column = (id: UsageMetric, figure: Figure) => `${snakeCase(id)}_${figure}`;
const rollupKeys = ['time', 'host', 'name', 'snapshots'];
export const rollupNames = [
  ...rollupKeys,
  ...usageMetrics.flatMap((id) => figures.map((figure) => column(id, figure))),
].join(', ');

const foldOf: Record<Figure, (name: string) => string> = {
  known: (name) => `count(${name})::INTEGER`,
  sum: (name) => `sum(${name})::BIGINT`,
  squares: (name) => `sum(${name}::DOUBLE * ${name})`,
  least: (name) => `min(${name})`,
  most: (name) => `max(${name})`,
  last: (name) => `arg_max(${name}, time)`,
};

/** The figure, unless it follows from others. */
function kept(id: UsageMetric, figure: Figure): string {
  const value = ofPeak(id);
  const isValue = figures.map((each) => `${column(id, each)} IS NOT DISTINCT FROM ${column(value ?? id, each)}`);
  const follows = [
    ...(value === undefined ? [] : [`(${isValue.join(' AND ')})`]),
    ...(figure === 'squares' || figure === 'last' ? [`${column(id, 'least')} = ${column(id, 'most')}`] : []),
  ];
  const name = column(id, figure);
  return follows.length === 0 ? name : `CASE WHEN ${follows.join(' OR ')} THEN NULL ELSE ${name} END AS ${name}`;
}

/** Rows of `usage` that meet the condition, as roll-ups of so long each. */
export function rolledSql(where: string, lengthMs: number): string {
  const folded = usageMetrics.flatMap((id) =>
    figures.map((figure) => `${foldOf[figure](snakeCase(id))} AS ${column(id, figure)}`),
  );
  const columns = usageMetrics.flatMap((id) => figures.map((figure) => kept(id, figure)));
  return `SELECT ${rollupKeys.join(', ')}, ${columns.join(', ')} FROM (
    SELECT ${binSql(lengthMs)} AS time, host, name, count(*)::INTEGER AS snapshots, ${folded.join(', ')}
    FROM usage WHERE ${where} GROUP BY ALL)`;
}

/** The beginning of the bin that a time is in, also before 1970. */
export function binSql(lengthMs: number, time = 'usage.time'): string {
  return `(${time} - (${time} % ${lengthMs} + ${lengthMs}) % ${lengthMs})`;
}

/** What a roll-up says of a column, with what follows. */
export function figureSql(id: UsageMetric, figure: Exclude<Figure, 'squares' | 'last'>): string {
  const value = ofPeak(id);
  if (value === undefined) return column(id, figure);
  return `CASE WHEN ${column(id, 'known')} IS NULL THEN ${column(value, figure)} ELSE ${column(id, figure)} END`;
}

/** Quantities of which buckets are kept; its place is what a bucket calls it. */
const sketched: readonly UsageMetric[] = ['cpu', 'memory'];
/**
 * The ratio of a bucket's two ends: a percentile told by its middle is at most 1 % off.
 * DDSketch, Masson, Rim and Lee, VLDB 2019: bucket i has the values in (ratio^(i-1), ratio^i].
 */
const bucketRatio = 1.02;
/** The bucket of 0, which has no logarithm; no other value is below 1. */
const zeroBucket = -1;

/** Of the same rows the buckets of what varies. */
export function bucketsSql(where: string, lengthMs: number): string {
  const bucketsOf = (id: UsageMetric, place: number) => {
    const name = snakeCase(id);
    const bucket = `CASE WHEN ${name} = 0 THEN ${zeroBucket} ELSE ceil(ln(${name}) / ${Math.log(bucketRatio)}) END::SMALLINT`;
    return `SELECT * FROM (
      SELECT ${binSql(lengthMs)} AS time, host, name, ${place}::TINYINT AS quantity, ${bucket} AS bucket, count(*)::INTEGER AS count
      FROM usage WHERE ${where} AND ${name} IS NOT NULL GROUP BY ALL)
      QUALIFY count(*) OVER (PARTITION BY time, host, name) > 1`;
  };
  return sketched.map(bucketsOf).join(' UNION ALL ');
}
