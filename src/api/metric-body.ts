import { MonitorError } from '../core/error.ts';
import type { MetricBody } from '../core/schema.ts';
import { longestSelector } from '../core/selector.ts';
import { familyOf, type Labels, type Series, seriesKey } from '../core/series.ts';
import type { MetricSample } from '../core/store.ts';
import { timeOf } from './snapshot-body.ts';

/**
 * Validated bodies as the samples they mean, each (series, time) once: the first of it.
 * @param now of a sample that does not say when it was taken
 * @throws MonitorError `invalid` for what a schema cannot say
 */
export function toSamples(bodies: readonly MetricBody[], now: number): MetricSample[] {
  const samples = new Map<string, MetricSample>();
  for (const [index, { name, labels = {}, kind = 'gauge', value, time }] of bodies.entries()) {
    const series = { metric: name, labels: knownLabels(labels) };
    const at = time === undefined ? now : timeOf(time);
    const key = `${keyOf(series, index)} ${at}`;
    if (!samples.has(key)) samples.set(key, { series, kind: kind as MetricSample['kind'], value, time: at });
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
  if (familyOf(metric).family !== 'metric')
    throw new MonitorError(
      'invalid',
      `body/${index}/name '${metric}' is amberwatch's own: collectors send it with PUT /v1/usage; choose another name`,
    );
  const key = seriesKey(series);
  if (key.length > longestSelector)
    throw new MonitorError(
      'invalid',
      `body/${index}: name and labels of ${metric} are longer than ${longestSelector} characters together; shorten a label`,
    );
  return key;
}
