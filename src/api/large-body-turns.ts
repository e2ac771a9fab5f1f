import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { MonitorError } from '../core/error.ts';

/** What is larger on the wire is a backlog: one snapshot of 300 processes has some 5 KB. */
const largeBytes = 64 * 1024;
const atOnce = 2;
const longestWaitMs = 20_000;
const maxWaiting = 1000;

/** A body that takes longer from its turn on is cut off: one slow sender must not make all others wait. */
const longestBodyMs = 10_000;

/**
 * Backlogs are taken two at a time; the others wait unread in their sockets. Parsing one takes as long as a
 * hundred live snapshots, and after an outage every host sends theirs.
 */
export function addLargeBodyTurns(app: FastifyInstance): void {
  const turns = new Turns();
  app.addHook('onRequest', async ({ headers, raw }, reply) => {
    if (!isLarge(headers)) return;
    await turns.take();
    const cut = setTimeout(() => raw.destroy(), longestBodyMs);
    raw.once('end', () => clearTimeout(cut));
    const leave = () => {
      clearTimeout(cut);
      turns.leave();
    };
    // Its sender may have left while it waited.
    if (raw.destroyed) leave();
    else onceEnded(reply.raw, leave);
  });
}

function isLarge(headers: Record<string, unknown>): boolean {
  return Number(headers['content-length'] ?? 0) > largeBytes || headers['transfer-encoding'] !== undefined;
}

/** Answered, or cut off before that. */
function onceEnded(response: ServerResponse, then: () => void): void {
  let ended = false;
  const end = () => {
    if (!ended) then();
    ended = true;
  };
  response.once('finish', end);
  response.once('close', end);
}

class Turns {
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  /** @throws MonitorError `unavailable` when too many wait, or when it takes too long */
  async take(): Promise<void> {
    if (this.#busy < atOnce) this.#busy++;
    else await this.#wait();
  }

  /** Hands the turn over to whoever waits. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#busy--;
  }

  #wait(): Promise<void> {
    if (this.#waiting.length >= maxWaiting) return Promise.reject(tooMany());
    return new Promise((resolve, reject) => {
      const go = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(tooMany());
      }, longestWaitMs);
      this.#waiting.push(go);
    });
  }
}

function tooMany(): MonitorError {
  return new MonitorError('unavailable', 'many backlogs are being taken; send again later', { retryAfterSeconds: 5 });
}
