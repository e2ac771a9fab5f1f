import { type Alarm, serverName } from '../core/alarm.ts';
import type { Forecast } from '../core/forecast.ts';
import { isOfOtherSource, type Series } from '../core/series.ts';
import { labelsText, type MetricFamily } from '../wire/exposition.ts';

/** Series that are forecast can be many: the likeliest breaches. */
const mostForecasts = 1000;

/**
 * What is RED and AMBER, and how likely each breach is. Of what has fallen silent nothing: its last state is told by
 * the API, and to a scraper it would look as if it were so now.
 * @param ips the addresses of the hosts that are heard of
 */
export function* alarmFamilies(
  alarms: readonly Alarm[],
  forecasts: readonly Forecast[],
  ips: ReadonlyMap<string, string | null>,
): Generator<MetricFamily> {
  const isHeard = ({ host, series }: Pick<Alarm, 'host' | 'series'>) =>
    host === serverName || isOfOtherSource(series.metric) || ips.has(host);
  const firing = alarms.filter((alarm) => alarm.state === 'firing' && isHeard(alarm));
  yield {
    name: 'amberwatch_alarm',
    help: '1 for each alarm there is; metric is its series as selectors name it',
    type: 'gauge',
    samples: firing.map(({ level, ip, series }) => ({ labels: seriesLabels(series, { level, ip }), value: 1 })),
  };
  const known = forecasts
    .filter(({ series, probability }) => probability !== null && isHeard({ host: series.labels.host ?? '', series }))
    .sort((a, b) => (b.probability ?? 0) - (a.probability ?? 0))
    .slice(0, mostForecasts);
  yield {
    name: 'amberwatch_forecast_probability',
    help: 'That the series goes over its threshold within the horizon',
    type: 'gauge',
    samples: known.map(({ series, probability }) => ({
      labels: seriesLabels(series, { ip: ips.get(series.labels.host ?? '') }),
      value: probability ?? 0,
    })),
  };
}

/** A label of a series that has the name of one of ours is renamed as Prometheus does it. */
function seriesLabels({ metric, labels }: Series, more: Record<string, string | null | undefined>): string {
  const own = { metric, ...more };
  const renamed = Object.entries(labels).map(([name, value]) => [name in own ? `exported_${name}` : name, value]);
  return labelsText({ ...Object.fromEntries(renamed), ...own });
}
