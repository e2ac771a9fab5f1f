import type { Series } from './series.ts';

/** What was forecast of one series at the end of one step, as it is kept. Times are epoch milliseconds. */
export interface Forecast {
  /** The end of the step. */
  time: number;
  series: Series;
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

/** What of a policy's opinion is AMBER: not what came true already, nor what is muted. */
export function isAmber(forecast: Forecast): boolean {
  return forecast.amberSince !== null && forecast.probability !== null && !forecast.isMuted;
}
