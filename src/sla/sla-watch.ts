import type { Clock } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';
import type { MetricSample } from '../core/sample.ts';
import { type Series, seriesKey } from '../core/series.ts';
import type { Store } from '../core/store.ts';
import { readsWithin } from '../core/store.ts';
import { parseThreshold } from '../core/threshold.ts';
import { every } from '../platform/every.ts';
import type { Log } from '../platform/log.ts';
import type { Sla } from './sla.ts';
import { type SlaStatus, statusOf, type WindowStatus } from './sla-reader.ts';
import type { Slas } from './slas.ts';

export const budgetMetric = 'amberwatch_sla_budget_used_percent';
const source = 'amberwatch';
/** More than ten times the budget is told as that. */
const mostPercent = 1000;

/** RED once more than the budget is used: the objective is not met any more. AMBER before, as for anything measured. */
export const budgetThreshold = parseThreshold(`${budgetMetric}{source="${source}"}:red=100,clear=100`);

export interface SlaWatchOptions {
  store: Store;
  slas: Slas;
  clock: Clock;
  log: Log;
  write: (samples: readonly MetricSample[]) => Promise<unknown>;
  everyMs: number;
}

/** Says once a step how much of each error budget is used, as series of its own. */
export class SlaWatch {
  readonly #options: SlaWatchOptions;
  /** How each stood when it was looked at last, by id; without those that cannot be told. */
  #statuses: ReadonlyMap<string, SlaStatus> = new Map();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #stop: () => void = () => undefined;
  /** Those that were told last, by key. */
  #told: ReadonlyMap<string, Series> = new Map();
  /** Why one could not be told, by its id: each is said once. */
  readonly #problems = new Map<string, string>();

  constructor(options: SlaWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const failed = (error: unknown) => this.#options.log.error({ err: error }, 'cannot say how SLAs stand');
    const { everyMs, clock } = this.#options;
    // Who asks how they stand makes it look earlier.
    const look = () => (Math.abs(clock.now() - this.#lookedAt) < everyMs / 2 ? undefined : this.look());
    this.#stop = every(everyMs, look, failed, { immediately: true });
  }

  close(): void {
    this.#stop();
  }

  /** As they stand at an instant, or later. */
  async statusesAt(time: number): Promise<ReadonlyMap<string, SlaStatus>> {
    if (this.#lookedAt < time) await this.look();
    return this.#statuses;
  }

  async look(): Promise<void> {
    const { store, slas, clock, write } = this.#options;
    const now = clock.now();
    const reads = readsWithin(store, { lane: 'background' });
    const samples: MetricSample[] = [];
    const statuses = new Map<string, SlaStatus>();
    for (const sla of slas.all()) {
      const status = await this.#statusOf(() => statusOf(reads, sla, now), sla);
      if (status === null) continue;
      statuses.set(sla.id, status);
      for (const each of status.windows) samples.push(sampleOf(budgetSeries(sla, each.window), usedPercent(each), now));
    }
    this.#statuses = statuses;
    this.#lookedAt = now;
    const told = new Map(samples.map(({ series }) => [seriesKey(series), series]));
    // One that is not there any more, or whose windows are others, has ended.
    for (const [key, series] of this.#told) if (!told.has(key)) samples.push(sampleOf(series, 'exited', now));
    if (samples.length > 0) await write(samples);
    this.#told = told;
  }

  async #statusOf(ask: () => Promise<SlaStatus>, { id }: Sla): Promise<SlaStatus | null> {
    try {
      const status = await ask();
      this.#problems.delete(id);
      return status;
    } catch (error) {
      if (!(error instanceof MonitorError) || error.code !== 'invalid') throw error;
      if (this.#problems.get(id) !== error.message)
        this.#options.log.warn(`SLA ${id} is not watched: ${error.message}`);
      this.#problems.set(id, error.message);
      return null;
    }
  }
}

/** How much of the budget of a window is used, in percent. */
export function budgetSeries({ id }: Sla, window: string): Series {
  return { metric: budgetMetric, labels: { source, sla: id, window } };
}

function sampleOf(series: Series, value: MetricSample['value'], time: number): MetricSample {
  return { series, kind: 'gauge', time, value, owner: `source ${source}` };
}

function usedPercent({ violatedMs, budgetMs }: WindowStatus): number {
  if (violatedMs === 0) return 0;
  return Math.min(mostPercent, Math.round((violatedMs / budgetMs) * 1000) / 10);
}
