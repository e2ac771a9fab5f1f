import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger } from 'fastify';
import { AsyncTask, SimpleIntervalJob, ToadScheduler } from 'toad-scheduler';
import Type from 'typebox';
import type { Clock } from '../core/clock.ts';
import { expirySchema } from '../core/schema.ts';
import type { Store } from '../core/store.ts';
import type { AppParts } from './app-parts.ts';
import type { ServerClock } from './server-clock.ts';
import { iso } from './window.ts';

const everyMs = 10 * 60_000;
export const confirmCommand = 'amberwatch store expire --confirm';

export interface ExpiryOptions {
  store: Store;
  clock: Clock;
  serverClock: ServerClock;
  log: FastifyBaseLogger;
  retentionMs: number;
}

/** Forgets what is older than the retention, now and then, and only by a clock that is believed. */
export class Expiry {
  readonly #options: ExpiryOptions;
  readonly #scheduler = new ToadScheduler();
  #saidReason: string | null = null;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  start(): void {
    const { log } = this.#options;
    const task = new AsyncTask(
      'expire',
      () => this.expire(),
      (error) => log.error({ err: error }, 'cannot expire old snapshots'),
    );
    const job = new SimpleIntervalJob({ milliseconds: everyMs, runImmediately: true }, task, { preventOverrun: true });
    this.#scheduler.addSimpleIntervalJob(job);
  }

  close(): void {
    this.#scheduler.stop();
  }

  /** Snapshots of before this are not stored any more; while the clock is in doubt every one is. */
  oldestKept(): number {
    const { clock, retentionMs } = this.#options;
    return this.waiting() === null ? clock.now() - retentionMs : Number.NEGATIVE_INFINITY;
  }

  /** Why nothing is expired now, with the remedy; null: as it should be. */
  waiting(): string | null {
    const { serverClock, store } = this.#options;
    const reason = serverClock.doubt()?.reason ?? null;
    if (reason === null) return null;
    if (store.expiresItself) return `${reason}; the store expires by its own clock all the same`;
    return `${reason}: nothing is expired until the clocks of the collectors agree with it, or somebody who knows it is right says: ${confirmCommand}`;
  }

  async expire(): Promise<void> {
    const { store, clock, serverClock, log } = this.#options;
    const waiting = this.waiting();
    if (waiting !== this.#saidReason && waiting !== null)
      log[serverClock.warning() === null ? 'info' : 'warn'](waiting);
    this.#saidReason = waiting;
    if (waiting === null) await store.expire(clock.now());
  }
}

/** What expiry waits for, and how a person ends that. */
export function expiryRoutes({ expiry, serverClock, store }: AppParts): FastifyPluginAsyncTypebox {
  const answer = () => {
    const oldest = expiry.oldestKept();
    return {
      waiting: expiry.waiting(),
      oldestKept: Number.isFinite(oldest) ? iso(oldest) : null,
      expiresItself: store.expiresItself,
    };
  };
  return async (app) => {
    app.get(
      '/v1/store/expiry',
      { schema: { tags: ['store'], summary: 'Up to when snapshots are forgotten', response: { 200: expirySchema } } },
      async () => answer(),
    );
    app.post(
      '/v1/store/expiry',
      {
        config: { access: 'admin' },
        schema: {
          tags: ['store'],
          summary: "Say that this server's clock is right, and forget now what is older than the retention",
          body: Type.Object({ confirm: Type.Literal(true) }),
          response: { 200: expirySchema },
        },
      },
      async () => {
        serverClock.confirm();
        await expiry.expire();
        return answer();
      },
    );
  };
}
