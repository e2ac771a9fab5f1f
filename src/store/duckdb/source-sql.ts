import { mostNamed } from '../../core/answer-bounds.ts';
import type { Aggregate, TimeWindow } from '../../core/store.ts';
import { counterReachMs } from '../series-filter.ts';
import { foldSql } from './series-sql.ts';
import { num, quoted } from './sql-text.ts';

/** Ids of series of other sources by kind. */
export interface SourceIds {
  gauge: readonly number[] | string;
  counter: readonly number[] | string;
}

/**
 * What is told of samples of other sources, as rows of series, time and value: gauges as they are, counters by their
 * rates, as `ratesOf` of core/step-values.ts. Ids may be a query for them.
 */
export function toldSql({ gauge, counter }: SourceIds, { from, to }: TimeWindow): string {
  return `(
    SELECT series, time, value FROM sample WHERE ${during({ from, to })} AND series IN (${list(gauge)}) AND NOT isnan(value)
    UNION ALL SELECT series, time, rate FROM (
      SELECT series, time, CASE WHEN value < lag(value) OVER w THEN value ELSE value - lag(value) OVER w END
          * 1000 / (time - lag(time) OVER w) AS rate
      FROM sample WHERE ${during({ from: from - counterReachMs, to })} AND series IN (${list(counter)}) AND NOT isnan(value)
      WINDOW w AS (PARTITION BY series ORDER BY time))
    WHERE rate IS NOT NULL AND time > ${num(from)})`;
}

/** The same with NULL for a value where a series has ended. */
export function toldWithEndsSql({ gauge, counter }: SourceIds, window: TimeWindow): string {
  return `(
    SELECT series, time, value FROM ${toldSql({ gauge, counter }, window)}
    UNION ALL SELECT series, time, NULL FROM sample
      WHERE ${during(window)} AND (series IN (${list(gauge)}) OR series IN (${list(counter)})) AND isnan(value))`;
}

function during({ from, to }: TimeWindow): string {
  return `time > ${num(from)} AND time <= ${num(to)}`;
}

function list(ids: readonly number[] | string): string {
  return typeof ids === 'string' ? ids : ids.join(', ') || 'NULL';
}

/** Values are NULL where a series has ended. */
export function sourceSamplesSql(ids: SourceIds, window: TimeWindow): string {
  return `SELECT series, time::DOUBLE AS time, value FROM ${toldWithEndsSql(ids, window)} ORDER BY time`;
}

export function sourceStepsSql(
  ids: SourceIds,
  window: TimeWindow,
  stepMs: number,
  aggregate: Aggregate = 'mean',
): string {
  return `SELECT series, (time // ${num(stepMs)} * ${num(stepMs)})::DOUBLE AS time, ${foldSql[aggregate]}(value) AS value
    FROM ${toldSql(ids, window)} GROUP BY ALL ORDER BY time`;
}

/** Ids of all series of a name, of a kind. */
function idsOfMetric(metric: string, kind: 'gauge' | 'counter'): string {
  return `SELECT id FROM series WHERE metric = ${quoted(metric)} AND kind = '${kind}'`;
}

/** Series of other sources of one name with a value over a level, those longest there first. */
export function sourceAboveSql(metric: string, level: number, window: TimeWindow): string {
  const ids = { gauge: idsOfMetric(metric, 'gauge'), counter: idsOfMetric(metric, 'counter') };
  return `SELECT DISTINCT series AS id FROM ${toldSql(ids, window)} WHERE value > ${num(level)}
    ORDER BY id LIMIT ${mostNamed}`;
}

/** Series of other sources of one name with samples in the window, one more than are looked at; `$1` is their host. */
export function sourceSeriesSql(metric: string, window: TimeWindow, ofHost: boolean): string {
  return `SELECT DISTINCT series AS id FROM sample
    WHERE time > ${num(window.from)} AND time <= ${num(window.to)} AND series IN
      (SELECT id FROM series WHERE metric = ${quoted(metric)}${ofHost ? ' AND host = $1' : ''})
    ORDER BY id LIMIT ${mostNamed + 1}`;
}

/** Samples as they were taken; where a series has ended the value is no number. */
export function rawSamplesSql(window: TimeWindow): string {
  return `SELECT series, time::DOUBLE AS time, value FROM sample WHERE ${during(window)}`;
}

/** Of which kind series are, and whose. */
export function sourcesSql(ids: readonly number[]): string {
  return `SELECT id, kind, encode(coalesce(owner, '')) AS owner FROM series WHERE id IN (${list(ids)})`;
}
