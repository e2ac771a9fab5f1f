import type { ThresholdMetric } from './threshold.ts';

/** What was forecast of one series at the end of one step, as it is kept. Times are epoch milliseconds. */
export interface Forecast {
  /** The end of the step. */
  time: number;
  host: string;
  /** Null: the series is of the host itself. */
  process: string | null;
  metric: ThresholdMetric;
  /** Mean over the step, in the unit of the threshold. */
  value: number;
  threshold: number;
  /** That the series goes over its threshold within the horizon; null where it is over already, or too young. */
  probability: number | null;
  /** Since when it is AMBER; kept while the series is over its threshold, as the AMBER that came true. */
  amberSince: number | null;
  /** The same by the policy that decides what is worth a notification. */
  notifySince: number | null;
  /** Its own record is so bad that its AMBER is not shown. */
  isMuted: boolean;
  etaSeconds: number | null;
  /** Seconds between which the crossing is expected. */
  intervalSeconds: [number, number] | null;
  /** One sentence for a person; empty where there is nothing to say. */
  reason: string;
}

/** Names one series that has forecasts. */
export type ForecastSubject = Pick<Forecast, 'host' | 'process' | 'metric'>;

/** As a key of a map. */
export function subjectKey({ host, process, metric }: ForecastSubject): string {
  return JSON.stringify([host, process, metric]);
}

/** What of a policy's opinion is AMBER: not what came true already, nor what is muted. */
export function isAmber(forecast: Forecast): boolean {
  return forecast.amberSince !== null && forecast.probability !== null && !forecast.isMuted;
}
