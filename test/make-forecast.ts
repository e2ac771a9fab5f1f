import type { Forecast } from '../src/core/forecast.ts';
import type { Series } from '../src/core/series.ts';
import { legacySeries } from '../src/store/legacy-series.ts';
import { noon } from './make-snapshot.ts';

/** What a series may be named by: `cpu` of a process is of its largest instance. */
interface Named {
  host?: string;
  /** Null: the host itself. */
  process?: string | null;
  metric?: string;
}

export function makeSeries({ host = 'web-01', process = 'nginx', metric = 'cpu' }: Named = {}): Series {
  return legacySeries(host, process, metric);
}

/** A forecast in which everything not given is ordinary. */
export function makeForecast({ host, process, metric, ...given }: Partial<Forecast> & Named = {}): Forecast {
  return {
    time: noon,
    series: makeSeries({
      ...(host !== undefined && { host }),
      ...(process !== undefined && { process }),
      ...(metric !== undefined && { metric }),
    }),
    value: 60.5,
    threshold: 80,
    probability: 0.4,
    amberSince: noon - 60_000,
    notifySince: null,
    isMuted: false,
    etaSeconds: 300,
    intervalSeconds: [120, 540],
    reason: 'rising',
    ...given,
  };
}
