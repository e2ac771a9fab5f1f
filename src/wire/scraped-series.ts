import { longestSelector, mostMatchers } from '../core/selector.ts';
import { isOfOtherSource, type Labels, type Series, seriesKey, withKeptKey } from '../core/series.ts';
import { longestInUrl } from './metric-codec.ts';

/** The label that holds the name of a metric. */
export const nameLabel = '__name__';
const names = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelNames = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const longestName = 200;

/** A series of a Prometheus as it is kept here, or why it cannot be. */
export type ScrapedSeries = { series: Series; kind: 'gauge' | 'counter' } | { refused: string };

/**
 * The series that these labels name. Labels without a value are none, and a name that is ours gets `prometheus_` in
 * front of it.
 * @param labels each name once, the metric's among them
 */
export function scrapedSeries(labels: ReadonlyMap<string, string>): ScrapedSeries {
  const name = labels.get(nameLabel) ?? '';
  if (!names.test(name) || name.length > longestName)
    return refused(name, `its name is none of letters, digits, _ and :, at most ${longestName} of them`);
  const known = [...labels].filter(([label, value]) => label !== nameLabel && value !== '');
  const wrong = known.find(([label]) => !labelNames.test(label) || label === '__proto__');
  if (wrong !== undefined)
    return refused(name, `its label ${JSON.stringify(wrong[0].slice(0, 100))} has no name that is taken here`);
  if (known.length > mostMatchers)
    return refused(name, `it has ${known.length} labels or more, and at most ${mostMatchers} are kept`);
  const series = {
    metric: isOfOtherSource(name) ? name : `prometheus_${name}`,
    labels: Object.fromEntries(known) as Labels,
  };
  const key = seriesKey(series);
  if (key.length > longestSelector || encodeURIComponent(key).length > longestInUrl)
    return refused(
      name,
      `its name and labels are longer than ${longestSelector} characters together, or ${longestInUrl} as a part of a URL`,
    );
  return { series: withKeptKey(series), kind: kindOf(name, labels) };
}

/** The same of a series that was fetched, with the source it is from; what it called so itself is `exported_source`. */
export function withSource(metric: Readonly<Record<string, string>>, source: string): ScrapedSeries {
  const { source: own, ...others } = metric;
  const labels = new Map(Object.entries(others));
  let free = 'exported_source';
  while (labels.has(free)) free = `exported_${free}`;
  if (own !== undefined) labels.set(free, own);
  return scrapedSeries(labels.set('source', source));
}

/**
 * By the name alone, so that it is the same whenever and however a series comes: metadata arrives later, or never. What
 * ends in `_count` or `_sum` may be either, and is kept as it is.
 */
function kindOf(name: string, labels: ReadonlyMap<string, string>): 'gauge' | 'counter' {
  return name.endsWith('_total') || (name.endsWith('_bucket') && labels.has('le')) ? 'counter' : 'gauge';
}

function refused(name: string, why: string): ScrapedSeries {
  return { refused: `${JSON.stringify(name.slice(0, 100))} is not kept: ${why}` };
}
