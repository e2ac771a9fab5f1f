import { messageOf } from '../core/error.ts';
import { seriesKey } from '../core/series.ts';
import type { SeriesOpinion } from '../forecast/forecaster.ts';
import type { RangeForecast, RangeForecaster } from '../forecast/range-forecaster.ts';
import type { Log } from '../platform/log.ts';
import { type Risk, riskOf } from './risk.ts';
import { currentOf, type Sla } from './sla.ts';
import type { SlaStatus } from './sla-reader.ts';
import { budgetSeries, type SlaWatch } from './sla-watch.ts';
import type { Slas } from './slas.ts';

/** What is to come of an SLA within the horizon. */
export interface Outlook extends RangeForecast {
  /** End of the step it is of. */
  at: number;
  /** What the error budget of each window risks; none where it is not known how the SLA stands. */
  risks: Risk[];
}

export interface SlaOutlookOptions {
  slas: Slas;
  ranges: RangeForecaster;
  watch: SlaWatch;
  log: Log;
  horizonMs: number;
}

/** Says, once a step, which series are about to leave the range of an SLA, and what that costs of its budgets. */
export class SlaOutlook {
  readonly #options: SlaOutlookOptions;
  #newest: ReadonlyMap<string, Outlook> = new Map();
  #problem = '';

  constructor(options: SlaOutlookOptions) {
    this.#options = options;
  }

  /** Null: there has been no step since it was defined. */
  of(id: string): Outlook | null {
    return this.#newest.get(id) ?? null;
  }

  /** Of the series of each budget, by key. What fails here is said once, and keeps no forecast from being made. */
  async opinions(end: number): Promise<Map<string, SeriesOpinion>> {
    const slas = this.#options.slas.all();
    try {
      this.#newest = await this.#step(end, slas);
      this.#problem = '';
    } catch (error) {
      this.#newest = new Map();
      if (this.#problem !== messageOf(error)) this.#options.log.warn(`SLAs are not predicted: ${messageOf(error)}`);
      this.#problem = messageOf(error);
    }
    return new Map(slas.flatMap((sla) => this.#opinionsOf(sla)));
  }

  async #step(end: number, slas: readonly Sla[]): Promise<Map<string, Outlook>> {
    const { ranges, watch, horizonMs } = this.#options;
    const found = await ranges.step(
      end,
      slas.map((sla) => ({ id: sla.id, ...currentOf(sla) })),
    );
    return new Map(
      [...found].map(([id, forecast]) => {
        const risks = risksOf(watch.statuses.get(id), forecast, end, horizonMs);
        return [id, { at: end, ...forecast, risks }];
      }),
    );
  }

  #opinionsOf(sla: Sla): [string, SeriesOpinion][] {
    const risks = this.#newest.get(sla.id)?.risks ?? [];
    return currentOf(sla).windows.map((window) => {
      const series = budgetSeries(sla, window);
      const risk = risks.find((each) => each.window === window);
      return [seriesKey(series), { series, opinion: risk === undefined || risk.probability === 0 ? null : risk }];
    });
  }
}

function risksOf(status: SlaStatus | undefined, { passings }: RangeForecast, end: number, horizonMs: number): Risk[] {
  if (status === undefined) return [];
  const violatedForMs = status.violatedSince === null ? null : end - status.violatedSince;
  return status.windows.map((window) => riskOf(window, violatedForMs, passings, horizonMs));
}
