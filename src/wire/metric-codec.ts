import { MonitorError } from '../core/error.ts';
import type { MetricSample } from '../core/sample.ts';
import { longestSelector } from '../core/selector.ts';
import { isOfOtherSource, type Labels, type Series, seriesKey } from '../core/series.ts';
import type { MetricBody } from './metric-sample.ts';
import { timeOf } from './snapshot-codec.ts';

/** A series is asked for by its key, and Node takes 16 KiB of headers. */
export const longestInUrl = 8000;

/**
 * Validated bodies as the samples they mean, each (series, time) once: the first of it.
 * @param now of a sample that does not say when it was taken
 * @param ownerOf whose new series one is
 * @throws MonitorError `invalid` for what a schema cannot say
 */
export function toSamples(
  bodies: readonly MetricBody[],
  now: number,
  ownerOf: (series: Series) => string,
): MetricSample[] {
  const samples = new Map<string, MetricSample>();
  for (const [index, { name, labels = {}, kind = 'gauge', value, time }] of bodies.entries()) {
    const series = { metric: name, labels: knownLabels(labels) };
    const at = time === undefined ? now : timeOf(time);
    const key = `${keyOf(series, index)} ${at}`;
    if (!samples.has(key))
      samples.set(key, { series, kind: kind as MetricSample['kind'], value, time: at, owner: ownerOf(series) });
  }
  return [...samples.values()];
}

/** One that is empty is none, as in Prometheus. */
function knownLabels(labels: Record<string, string>): Labels {
  const known = Object.entries(labels).filter(([, value]) => value !== '');
  return Object.fromEntries(known.map(([name, value]) => [name, value.toWellFormed()]));
}

function keyOf(series: Series, index: number): string {
  const { metric } = series;
  if (!isOfOtherSource(metric))
    throw new MonitorError(
      'invalid',
      `body/${index}/name '${metric}' is amberwatch's own: collectors send it with PUT /v1/usage; choose another name`,
    );
  const key = seriesKey(series);
  if (key.length > longestSelector || encodeURIComponent(key).length > longestInUrl)
    throw new MonitorError(
      'invalid',
      `body/${index}: name and labels of ${metric} are longer than ${longestSelector} characters together, or ${longestInUrl} as a part of a URL; shorten a label`,
    );
  return key;
}
