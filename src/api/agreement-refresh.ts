import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/error.ts';
import { ConditionReporter } from '../platform/condition-reporter.ts';
import { every } from '../platform/every.ts';
import type { Log } from '../platform/log.ts';

const everyMs = 2000;

/** What several servers agree on, and other servers may change. */
export interface Agreed {
  refresh(): Promise<void>;
}

/** What another server has been told is known here soon after. */
export class AgreementRefresh {
  readonly #agreed: readonly Agreed[];
  readonly #log: Log;
  readonly #absence: ConditionReporter;
  #stop: () => void = () => undefined;

  /** @param agreed empty: there is one server */
  constructor(agreed: readonly Agreed[], clock: Clock, log: Log) {
    this.#agreed = agreed;
    this.#log = log;
    this.#absence = new ConditionReporter(() => clock.monotonic());
  }

  start(): void {
    if (this.#agreed.length === 0) return;
    const failed = (error: unknown) =>
      this.#absence.begin(() =>
        this.#log.warn(`what other servers are told is not known here for a while: ${messageOf(error)}`),
      );
    this.#stop = every(everyMs, () => this.refresh(), failed, { immediately: true });
  }

  close(): void {
    this.#stop();
  }

  async refresh(): Promise<void> {
    for (const each of this.#agreed) await each.refresh();
    this.#absence.end(() => this.#log.info('what other servers are told is known here again'));
  }
}
