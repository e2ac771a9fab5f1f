import type { Forecast } from '../src/core/forecast.ts';
import { noon } from './make-snapshot.ts';

/** A forecast in which everything not given is ordinary. */
export function makeForecast(given: Partial<Forecast> = {}): Forecast {
  return {
    time: noon,
    host: 'web-01',
    process: 'nginx',
    metric: 'cpu',
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
