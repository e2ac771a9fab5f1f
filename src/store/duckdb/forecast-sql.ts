import type { Forecast } from '../../core/forecast.ts';
import { type Series, seriesKey } from '../../core/series.ts';
import type { SeriesFilter, TimeWindow } from '../../core/store.ts';
import { emptyTally, type HourTally, tallyCounts } from '../../core/tally.ts';
import { namesValue } from './name-texts.ts';
import type { Bound, Row } from './readers.ts';
import { finite, num, quoted } from './sql-text.ts';

/**
 * Of all series that may fit: `$1` is a list of the key and the host that are wanted, as far as they are. What else a
 * filter says has to be looked at in the answer.
 */
function ofSeries(window: TimeWindow, filter: SeriesFilter): string {
  const { series, metrics } = filter;
  const host = hostOf(filter);
  const conditions = [
    series === undefined ? '' : 'text = $1[1]',
    metrics === undefined ? '' : `metric IN (${metrics.map(quoted).join(', ') || 'NULL'})`,
    host === undefined ? '' : host === '' ? 'host IS NULL' : 'host = $1[2]',
  ].filter(Boolean);
  const during = `time > ${num(window.from)} AND time <= ${num(window.to)}`;
  return conditions.length === 0
    ? during
    : `${during} AND series IN (SELECT id FROM series WHERE ${conditions.join(' AND ')})`;
}

/** Of several matchers one: the others are looked at in the answer. */
function hostOf({ matchers = [] }: SeriesFilter): string | undefined {
  return matchers.find(({ label, operator }) => label === 'host' && operator === '=')?.value;
}

/** `$1` of `ofSeries`; undefined: it is not in the text. */
export function seriesBound(filter: SeriesFilter): Bound | undefined {
  const { series } = filter;
  const host = hostOf(filter);
  if (series === undefined && !host) return undefined;
  return namesValue([series === undefined ? '' : seriesKey(series), host ?? '']);
}

export function talliesSql(window: TimeWindow, filter: SeriesFilter): string {
  return `SELECT max(time)::DOUBLE AS time, series, arg_max(muted, time) AS muted,
      ${tallyCounts.map((count) => `sum("${count}") AS "${count}"`).join(', ')}, string_agg(leads, ' ') AS leads
    FROM tally WHERE ${ofSeries(window, filter)} GROUP BY series`;
}

export function toTally(row: Row, series: Series): HourTally {
  const tally = emptyTally();
  for (const count of tallyCounts) tally[count] = row[count] as number;
  if (row.leads !== null) tally.leadsMs = (row.leads as string).split(' ').map(Number);
  return { series, time: row.time as number, isMuted: Boolean(row.muted), tally };
}

export function forecastsSql(window: TimeWindow, filter: SeriesFilter): string {
  return `SELECT time::DOUBLE AS time, series, value, threshold, probability, muted, eta, eta_low, eta_high, reason,
      amber_since::DOUBLE AS amber_since, notify_since::DOUBLE AS notify_since
    FROM forecast WHERE ${ofSeries(window, filter)} ORDER BY time`;
}

export function toForecast(row: Row, series: Series): Forecast {
  const [low, high] = [finite(row.eta_low), finite(row.eta_high)];
  return {
    time: row.time as number,
    series,
    value: row.value as number,
    threshold: row.threshold as number,
    probability: finite(row.probability),
    amberSince: finite(row.amber_since),
    notifySince: finite(row.notify_since),
    isMuted: Boolean(row.muted),
    etaSeconds: finite(row.eta),
    intervalSeconds: low === null || high === null ? null : [low, high],
    reason: row.reason as string,
  };
}
