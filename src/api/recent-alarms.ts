import type { AlarmReader } from '../alarms/alarm-reader.ts';
import type { Alarms } from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import { keptReadyMs } from '../ingest/latest-usage.ts';

const everyMs = 5000;
/** With the time that an evaluation takes, and others may be in its way. */
const oldestMs = everyMs + 1000;

/**
 * The alarms of a few seconds ago at most, made ready while somebody asks again and again: a scraper has nothing of
 * newer ones, and should not wait for them.
 */
export class RecentAlarms {
  readonly #reader: AlarmReader;
  readonly #clock: Clock;
  #last: { alarms: Alarms; at: number } | null = null;
  #askedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(reader: AlarmReader, clock: Clock) {
    this.#reader = reader;
    this.#clock = clock;
  }

  async get(): Promise<Alarms> {
    const now = this.#clock.monotonic();
    this.#askedAt = now;
    this.#timer ??= setInterval(() => this.#makeReady(), everyMs).unref();
    return this.#last !== null && now - this.#last.at < oldestMs ? this.#last.alarms : this.#evaluate();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #makeReady(): void {
    if (this.#clock.monotonic() - this.#askedAt > keptReadyMs) this.close();
    // Whoever asks next is told why.
    else this.#evaluate().catch(() => undefined);
  }

  async #evaluate(): Promise<Alarms> {
    const at = this.#clock.monotonic();
    const alarms = await this.#reader.now();
    this.#last = { alarms, at };
    return alarms;
  }
}
