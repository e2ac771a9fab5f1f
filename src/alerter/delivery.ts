import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/error.ts';
import { backoffMs } from '../platform/back-off.ts';
import { ConditionReporter } from '../platform/condition-reporter.ts';
import { WakeSignal } from '../platform/wake-signal.ts';
import type { Channel, Outcome } from './channels/channel.ts';
import type { Outbox, OutboxEntry } from './outbox.ts';

export interface DeliveryOptions {
  channel: Channel;
  outbox: Outbox;
  clock: Clock;
  random: () => number;
  /** About the channel itself. */
  note: (message: string) => void;
}

/** Takes everything from the outbox to one channel, in order and each at least once, also over a restart. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #stopped = new AbortController();
  readonly #news = new WakeSignal();
  readonly #failure: ConditionReporter;
  /** Who wants to know when there is nothing left. */
  readonly #waiting: (() => void)[] = [];
  #running: Promise<void> = Promise.resolve();

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#failure = new ConditionReporter(() => options.clock.monotonic());
  }

  /** Resolves once its place in the outbox is known: from then on nothing is missed. */
  async start(): Promise<void> {
    const { outbox, channel } = this.#options;
    await outbox.unread(channel.name);
    this.#running = this.#run();
  }

  /** There is something new. Resolves once all of it has been delivered; of a channel that is not instant, at once. */
  wake(): Promise<void> {
    const { isInstant } = this.#options.channel;
    if (!isInstant || this.#stopped.signal.aborted) {
      this.#news.tell();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#news.tell();
    });
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    this.#news.tell();
    await this.#running;
    for (const tell of this.#waiting) tell();
    await this.#options.channel.close();
  }

  async #run(): Promise<void> {
    const { outbox, channel } = this.#options;
    while (!this.#stopped.signal.aborted) {
      const news = this.#news.next();
      const waited = this.#waiting.length;
      const [next] = await outbox.unread(channel.name);
      if (next !== undefined) {
        if (await this.#deliver(next)) await outbox.acknowledge(channel.name, next.number);
        continue;
      }
      // Who has come meanwhile may have brought something.
      for (const tell of this.#waiting.splice(0, waited)) tell();
      await news;
    }
  }

  /** Until it is taken, or refused for good; false: the end came first. */
  async #deliver(said: OutboxEntry): Promise<boolean> {
    const { signal } = this.#stopped;
    for (let failures = 1; !signal.aborted; failures++) {
      const outcome = await this.#options.channel.deliver(said, signal).catch(failureOf);
      if (this.#settle(outcome)) return true;
      // Nobody waits for what takes longer.
      for (const tell of this.#waiting.splice(0)) tell();
      const waitMs = backoffMs(failures, retryAfterOf(outcome), this.#options.random());
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
    return false;
  }

  #settle(outcome: Outcome): boolean {
    const { channel, note } = this.#options;
    const { label } = channel;
    if (outcome.kind === 'taken') this.#failure.end(() => note(`${label} takes messages again`));
    else if (outcome.kind === 'refused')
      note(`${label} refused a message for good: ${outcome.detail}; going on with the next`);
    else this.#failure.begin(() => note(`${label}: ${outcome.detail}; trying again`));
    return outcome.kind !== 'failed';
  }
}

function failureOf(error: unknown): Outcome {
  return { kind: 'failed', detail: messageOf(error), retryAfterMs: null };
}

function retryAfterOf(outcome: Outcome): number | null {
  return outcome.kind === 'failed' ? outcome.retryAfterMs : null;
}
