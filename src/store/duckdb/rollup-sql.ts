import { bucketMiddle, bucketRatio, sketched, zeroBucket } from '../../core/bucket.ts';
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
const rollupKeys = ['time', 'host', 'name', 'snapshots', 'last_at'];
export const rollupNames = [
  ...rollupKeys,
  ...usageMetrics.flatMap((id) => figures.map((figure) => column(id, figure))),
].join(', ');

/** A sum beyond what its column holds is a bug in the sender: it stops nothing. */
const mostSum = '9223372036854775807';

function summed(name: string): string {
  return `CASE WHEN sum(${name}) > ${mostSum} THEN ${mostSum} ELSE sum(${name}) END::BIGINT`;
}

/** The figures of values. */
const foldOf: Record<Figure, (name: string) => string> = {
  known: (name) => `count(${name})::INTEGER`,
  sum: (name) => summed(name),
  squares: (name) => `sum(${name}::DOUBLE * ${name})`,
  least: (name) => `min(${name})`,
  most: (name) => `max(${name})`,
  last: (name) => `arg_max(${name}, time)`,
};

/** The same of figures. */
const addOf: Record<Figure, (figure: string) => string> = {
  known: (figure) => `sum(${figure})::INTEGER`,
  sum: (figure) => summed(figure),
  squares: (figure) => `sum(${figure})`,
  least: (figure) => `min(${figure})`,
  most: (figure) => `max(${figure})`,
  last: (figure) => `arg_max(${figure}, last_at)`,
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
  return keptSql(`SELECT ${binSql(lengthMs)} AS time, host, name, count(*)::INTEGER AS snapshots, max(usage.time) AS last_at,
      ${folded.join(', ')} FROM usage WHERE ${where} GROUP BY ALL`);
}

/** Roll-ups of a relation that meet the condition, those of the same time, host and name as one. */
export function addedSql(relation: string, where: string): string {
  const added = usageMetrics.flatMap((id) =>
    figures.map((figure) => `${addOf[figure](figureSql(id, figure))} AS ${column(id, figure)}`),
  );
  return keptSql(`SELECT time, host, name, sum(snapshots)::INTEGER AS snapshots, max(last_at) AS last_at,
      ${added.join(', ')} FROM ${relation} rolled WHERE ${where} GROUP BY ALL`);
}

function keptSql(folded: string): string {
  const columns = usageMetrics.flatMap((id) => figures.map((figure) => kept(id, figure)));
  return `SELECT ${rollupKeys.join(', ')}, ${columns.join(', ')} FROM (${folded})`;
}

/** The beginning of the bin that a time is in, also before 1970. */
export function binSql(lengthMs: number, time = 'usage.time'): string {
  return `(${time} - (${time} % ${lengthMs} + ${lengthMs}) % ${lengthMs})`;
}

/** What a roll-up says of a column, with what follows. */
export function figureSql(id: UsageMetric, figure: Figure): string {
  const value = ofPeak(id);
  const own = ownFigure(id, figure);
  if (value === undefined) return own;
  return `CASE WHEN ${column(id, 'known')} IS NULL THEN ${ownFigure(value, figure)} ELSE ${own} END`;
}

function ownFigure(id: UsageMetric, figure: Figure): string {
  const least = column(id, 'least');
  if (figure === 'squares')
    return `coalesce(${column(id, figure)}, ${least}::DOUBLE * ${least} * ${column(id, 'known')})`;
  return figure === 'last' ? `coalesce(${column(id, figure)}, ${least})` : column(id, figure);
}

/** What buckets call the quantity: its place. -1: it has none. */
export function placeOfSketch(id: UsageMetric): number {
  return sketched.indexOf(id);
}

/** The bucket of a value, as it is stored. */
export function bucketSql(name: string): string {
  return `CASE WHEN ${name} = 0 THEN ${zeroBucket} ELSE ceil(ln(${name}) / ${Math.log(bucketRatio)}) END::SMALLINT`;
}

/** The middle of a bucket, as values are stored. */
export function bucketValue(bucket: string): string {
  return `CASE WHEN ${bucket} = ${zeroBucket} THEN 0 ELSE pow(${bucketRatio}, ${bucket}) * ${bucketMiddle} END`;
}

/** Of the same rows their buckets. */
export function bucketsSql(where: string, lengthMs: number): string {
  const bucketsOf = (id: UsageMetric, place: number) => {
    const name = snakeCase(id);
    return `SELECT ${binSql(lengthMs)} AS time, host, name, ${place}::TINYINT AS quantity, ${bucketSql(name)} AS bucket, count(*)::INTEGER AS count
      FROM usage WHERE ${where} AND ${name} IS NOT NULL GROUP BY ALL`;
  };
  return sketched.map(bucketsOf).join(' UNION ALL ');
}

/** Buckets of a relation, those of the same quantity as one. */
export function addedBucketsSql(relation: string, where: string): string {
  return `SELECT time, host, name, quantity, bucket, sum(count)::INTEGER AS count FROM ${relation} WHERE ${where} GROUP BY ALL`;
}
