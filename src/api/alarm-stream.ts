import type { ServerResponse } from 'node:http';
import type { FastifyBaseLogger } from 'fastify';
import type { Alarms } from '../core/alarm.ts';
import { changes } from '../core/change.ts';
import { alarmsAnswer, changeAnswer } from './alarm-answer.ts';
import type { AlarmReader } from './alarm-reader.ts';

const pollMs = 2_000;
const heartbeatMs = 15_000;

/** Bytes that a listener may leave unread. */
const mostUnread = 1024 * 1024;

interface Listener {
  /** What it has been told; null: nothing yet. */
  said: Alarms | null;
  /** Whether it still may listen: its token may have been revoked. */
  mayListen: () => boolean;
}

/** Server-Sent Events: one evaluation serves all who listen, and none is made when nobody does. */
export class AlarmStream {
  readonly #reader: AlarmReader;
  readonly #log: FastifyBaseLogger;
  readonly #listeners = new Map<ServerResponse, Listener>();
  #timers: NodeJS.Timeout[] = [];
  #polling = false;

  constructor(reader: AlarmReader, log: FastifyBaseLogger) {
    this.#reader = reader;
    this.#log = log;
  }

  /** Sends all alarms, then each change, until the other side leaves. */
  async add(response: ServerResponse, mayListen: () => boolean): Promise<void> {
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.flushHeaders();
    response.on('close', () => this.#remove(response));
    response.on('error', () => this.#remove(response));
    this.#listeners.set(response, { said: null, mayListen });
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
      for (const [response, listener] of [...this.#listeners]) {
        if (response.writableLength > mostUnread || !listener.mayListen()) response.destroy();
        else this.#tell(response, listener, now);
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'alarm stream: cannot evaluate');
    } finally {
      this.#polling = false;
    }
  }

  #tell(response: ServerResponse, listener: Listener, now: Alarms): void {
    const before = listener.said;
    listener.said = now;
    const send = (event: string, data: unknown) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    if (before === null) send('alarms', alarmsAnswer(now));
    else for (const change of changes(before, now)) send('change', changeAnswer(change));
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
