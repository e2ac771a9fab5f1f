import type { Agreements } from '../core/agreement.ts';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/error.ts';
import { type Duties, shareProblem, type WatchShare } from '../core/server-role.ts';
import { every } from '../platform/every.ts';
import type { Log } from '../platform/log.ts';

const sayEveryMs = 10_000;
/** Whoever has said nothing for so long is gone; clocks of servers may differ by some of it. */
const goneAfterMs = 45_000;

export interface WatchersOptions {
  /** Absent: there is one server, and it watches. */
  agreements: Agreements | undefined;
  /** Of this process, and of no other. */
  id: string;
  duties: Duties;
  clock: Clock;
  log: Log;
}

/** Which servers forecast, and whether they leave hosts out or do the same twice. */
export class Watchers {
  readonly #options: WatchersOptions;
  #stop: () => void = () => undefined;

  constructor(options: WatchersOptions) {
    this.#options = options;
  }

  start(): void {
    const { log } = this.#options;
    const failed = (error: unknown) =>
      log.warn({ err: error }, `cannot say that this server watches: ${messageOf(error)}`);
    this.#stop = every(sayEveryMs, () => this.#say(this.#options.duties.share), failed, { immediately: true });
  }

  /** The next one need not wait until this one counts as gone. */
  async close(): Promise<void> {
    this.#stop();
    await this.#say(null).catch(() => undefined);
  }

  /** Null: every host is watched once, as far as anybody knows. */
  async problem(): Promise<string | null> {
    const { agreements, clock } = this.#options;
    if (agreements === undefined) return null;
    const oldest = clock.now() - goneAfterMs;
    const said = [...(await agreements.read('watcher')).values()].filter(({ at }) => at > oldest);
    return shareProblem(said.map(({ body }) => body as WatchShare));
  }

  async #say(share: WatchShare | null): Promise<void> {
    const { agreements, clock, id } = this.#options;
    await agreements?.write('watcher', new Map([[id, { body: share, at: clock.now() }]]));
  }
}
