import type { Clock } from '../core/clock.ts';
import type { MetricSample } from '../core/sample.ts';
import type { Store } from '../core/store.ts';
import { parseThreshold } from '../core/threshold.ts';
import { every } from '../platform/every.ts';
import type { Log } from '../platform/log.ts';
import type { Ingest } from './ingest.ts';

const everyMs = 60_000;
const metric = 'amberwatch_store_used_percent';
const labels = { source: 'amberwatch' };

/** Of --max-disk: AMBER before it is reached, as for anything that is measured. */
export const diskThreshold = parseThreshold(`${metric}{source="${labels.source}"}:red=95,clear=90`);

/** Says how much of what the store may take it takes, as a series of its own; nothing where there is no limit. */
export class DiskWatch {
  readonly #store: Store;
  readonly #ingest: Ingest;
  readonly #clock: Clock;
  readonly #log: Log;
  #stop: () => void = () => undefined;

  constructor(store: Store, ingest: Ingest, clock: Clock, log: Log) {
    this.#store = store;
    this.#ingest = ingest;
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    const failed = (error: unknown) => this.#log.error({ err: error }, 'cannot say what the store takes on disk');
    this.#stop = every(everyMs, () => this.look(), failed, { immediately: true });
  }

  close(): void {
    this.#stop();
  }

  async look(): Promise<void> {
    const use = await this.#store.disk();
    if (use === null || use.mostBytes === null) return;
    const bytes = use.closed.reduce((sum, each) => sum + each.bytes, use.usedBytes);
    const value = Math.round((bytes / use.mostBytes) * 1000) / 10;
    const sample: MetricSample = {
      series: { metric, labels },
      kind: 'gauge',
      time: this.#clock.now(),
      value,
      owner: `source ${labels.source}`,
    };
    await this.#ingest.writeSamples([sample], null);
  }
}
