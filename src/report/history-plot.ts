import { formatDuration } from '../core/duration.ts';
import { formatUnit } from '../core/format-value.ts';
import { unitOfSeries } from '../core/series.ts';
import { clockTime } from '../platform/clock-time.ts';
import { terminalText } from '../platform/terminal-text.ts';
import type { ForecastsAnswer } from '../wire/forecast.ts';
import type { SeriesAnswer } from '../wire/series.ts';
import { plotLines } from './plot.ts';

const height = 12;
/** Beside the plot. */
const sideColumns = 12;

/** A series as characters, with what there is to say of it. */
export function historyPlot(
  { from, to, stepSeconds, series: [series] }: SeriesAnswer,
  forecast: ForecastsAnswer['forecasts'][number] | undefined,
  columns: number,
): string[] {
  const points = (series?.points ?? []).map(({ time, value }) => ({
    time: Date.parse(time) + stepSeconds * 500,
    value,
  }));
  if (series === undefined || points.length === 0) return ['nothing is known of it in this time'];
  const format = (value: number) => formatUnit(unitOfSeries(series.metric), value);
  const values = points.map(({ value }) => value);
  const shape = {
    from: Date.parse(from),
    to: Date.parse(to),
    width: Math.max(20, columns - sideColumns),
    height,
    threshold: forecast?.threshold ?? null,
    label: format,
  };
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const figures = [
    `least ${format(values.reduce((a, b) => Math.min(a, b)))}`,
    `mean ${format(mean)}`,
    `most ${format(values.reduce((a, b) => Math.max(a, b)))}`,
    `last ${format(values.at(-1) as number)}`,
  ];
  return [
    `${terminalText(series.series, 200)}, means of ${formatDuration(stepSeconds * 1000)}`,
    ...plotLines(points, shape),
    `${clockTime(Date.parse(from))} to ${clockTime(Date.parse(to))}: ${figures.join(', ')}`,
    ...(forecast === undefined ? [] : [forecastLine(forecast, format)]),
  ];
}

function forecastLine(
  { probability, threshold, reason }: ForecastsAnswer['forecasts'][number],
  format: (value: number) => string,
): string {
  if (probability === null) return `over its line of ${format(threshold)}, or too young to be forecast`;
  const why = reason === '' ? '' : `; ${terminalText(reason, 300)}`;
  return `over its line of ${format(threshold)} within the horizon: ${Math.round(probability * 100)} % likely${why}`;
}

/** The same for a spreadsheet. */
export function historyCsv({ series: [series] }: SeriesAnswer): string[] {
  return ['time,value', ...(series?.points ?? []).map(({ time, value }) => `${time},${value}`)];
}
