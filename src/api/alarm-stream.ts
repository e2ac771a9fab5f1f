import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AlarmReader } from '../alarms/alarm-reader.ts';
import type { Alarms, Ended } from '../core/alarm.ts';
import { type Change, changes, withEndings } from '../core/change.ts';
import type { Clock } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';
import { readLimit } from '../core/store.ts';
import { untilAborted } from '../platform/deadline.ts';
import type { Log } from '../platform/log.ts';
import { alarmsAnswer, changeAnswer } from './alarm-answer.ts';
import { onceEnded } from './once-ended.ts';

const pollMs = 2_000;
/** While nothing changes values do: all is told again after so many polls. */
const pollsPerWhole = 15;
const heartbeatMs = 15_000;
const longestEndingsMs = 2_000;

/** Who does not take in what is sent for so long is cut off. */
const longestUnreadMs = 10_000;
const mostUnread = 4 * 1024 ** 2;
/** Listeners with one token or, where there are none, from one address; and in all. */
const mostOfOne = 50;
const mostInAll = 500;

interface Listener {
  /** Its token or its address. */
  who: string;
  /** What it has been told; null: nothing yet. */
  said: Alarms | null;
  /** Since when something is unread of what it has not begun to take in; null: nothing is. By the monotonic clock. */
  unreadSince: number | null;
  /** Bytes it has taken in by then. */
  taken: number;
  /** Whether it still may listen: its token may have been revoked. */
  mayListen: () => boolean;
}

/**
 * Server-Sent Events: one evaluation and one text serve all who listen, and none is made when nobody does.
 */
export class AlarmStream {
  readonly #reader: AlarmReader;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #listeners = new Map<ServerResponse, Listener>();
  #timers: NodeJS.Timeout[] = [];
  #polling = false;
  #polls = 0;

  constructor(reader: AlarmReader, log: Log, clock: Clock) {
    this.#reader = reader;
    this.#log = log;
    this.#clock = clock;
  }

  /** @throws MonitorError `rate_limited` when this one has too many streams, `unavailable` when all together have */
  refuseTooMany(who: string): void {
    const own = [...this.#listeners.values()].filter((listener) => listener.who === who).length;
    if (own >= mostOfOne)
      throw new MonitorError('rate_limited', `you have ${own} alarm streams open already; one has all alarms`);
    if (this.#listeners.size >= mostInAll)
      throw new MonitorError(
        'unavailable',
        `${mostInAll} streams are open already; ask again later, or poll GET /v1/alarms`,
        {
          retryAfterSeconds: 60,
        },
      );
  }

  /** Sends all alarms, then each change, and all of them again now and then, until the other side leaves. */
  async add(request: IncomingMessage, response: ServerResponse, who: string, mayListen: () => boolean): Promise<void> {
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.flushHeaders();
    this.#listeners.set(response, { who, said: null, unreadSince: null, taken: 0, mayListen });
    response.on('error', () => this.#remove(response));
    onceEnded(request, response, () => this.#remove(response));
    if (this.#timers.length === 0) {
      this.#timers = [setInterval(() => this.#poll(), pollMs), setInterval(() => this.#beat(), heartbeatMs)];
    }
    await this.#poll();
  }

  close(): void {
    for (const response of this.#listeners.keys()) response.end();
    this.#listeners.clear();
    this.#stopWhenAlone();
  }

  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    try {
      const now = await this.#reader.now();
      if (++this.#polls % pollsPerWhole === 0) for (const listener of this.#listeners.values()) listener.said = null;
      const texts = await this.#texts(now);
      for (const [response, listener] of [...this.#listeners]) {
        if (this.#isTooSlow(response, listener) || !this.#mayListen(listener)) {
          // One that was pipelined and never had the socket does not say that it is destroyed.
          this.#remove(response);
          response.destroy();
          continue;
        }
        // Who has come meanwhile is told everything.
        const text = texts.get(listener.said) ?? eventText('alarms', alarmsAnswer(now));
        listener.said = now;
        if (text !== '') response.write(text);
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'alarm stream: cannot evaluate');
    } finally {
      this.#polling = false;
    }
  }

  /** What there is to say, by what was said before: one text serves all who have been told the same. */
  async #texts(now: Alarms): Promise<Map<Alarms | null, string>> {
    const texts = new Map<Alarms | null, string>();
    for (const said of new Set([...this.#listeners.values()].map((listener) => listener.said)))
      texts.set(said, said === null ? eventText('alarms', alarmsAnswer(now)) : await this.#changesText(said, now));
    return texts;
  }

  async #changesText(said: Alarms, now: Alarms): Promise<string> {
    const found = changes(said, now);
    const gone = found.filter(({ level }) => level === 'OK');
    const ended = gone.length === 0 ? [] : await this.#endings(gone);
    return withEndings(found, ended)
      .map((change) => eventText('change', changeAnswer(change)))
      .join('');
  }

  /** What cannot be found out in time is not told: that it has ended is. */
  #endings(gone: readonly Change[]): Promise<Ended[]> {
    const alarms = gone.flatMap(({ alarm }) => alarm ?? []);
    const silent = gone.flatMap(({ alarm, host }) => (alarm === null ? [host] : []));
    const signal = readLimit(longestEndingsMs);
    return untilAborted(this.#reader.endings(alarms, silent, { signal }), signal).catch(() => []);
  }

  #isTooSlow(response: ServerResponse, listener: Listener): boolean {
    const now = this.#clock.monotonic();
    const taken = response.socket?.bytesWritten ?? 0;
    if (response.writableLength === 0) listener.unreadSince = null;
    else if (listener.unreadSince === null || taken > listener.taken) listener.unreadSince = now;
    listener.taken = taken;
    const isStuck = listener.unreadSince !== null && now - listener.unreadSince >= longestUnreadMs;
    return isStuck || response.writableLength > mostUnread;
  }

  /** One whose token nobody can look up now is not told either. */
  #mayListen(listener: Listener): boolean {
    try {
      return listener.mayListen();
    } catch (error) {
      this.#log.warn({ err: error }, 'alarm stream: cannot look at the tokens');
      return false;
    }
  }

  #beat(): void {
    for (const response of this.#listeners.keys()) response.write(': still here\n\n');
  }

  #remove(response: ServerResponse): void {
    this.#listeners.delete(response);
    this.#stopWhenAlone();
  }

  #stopWhenAlone(): void {
    if (this.#listeners.size > 0) return;
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }
}

function eventText(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
