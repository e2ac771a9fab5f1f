import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MonitorError } from '../core/error.ts';
import { onceEnded } from './once-ended.ts';

/** What is larger, on the wire or decoded, is a backlog: one snapshot of 300 processes has some 5 and 12 KB. */
const largeBytes = 64 * 1024;
const atOnce = 2;
const longestWaitMs = 20_000;
const maxWaiting = 1000;

/** A turn never lasts longer, whatever becomes of its request. */
const longestTurnMs = 60_000;
/** A body that takes longer from its turn on is cut off: one slow sender must not make all others wait. */
const longestBodyMs = 10_000;

/** Waits until a body of this request may be parsed; resolves with how to let the next one in. */
export type TakeTurn = (request: FastifyRequest, body: Buffer) => Promise<() => void>;

declare module 'fastify' {
  interface FastifyRequest {
    hasTurn: boolean;
    /** Once its body is read and parsed, where that is long before it is answered. */
    leaveTurn: () => void;
  }
}

/**
 * Backlogs are taken two at a time; the others wait unread in their sockets. Parsing one takes as long as a
 * hundred live snapshots, and after an outage every host sends theirs. One that is large only once it is
 * decoded waits for its turn before that.
 */
export function addLargeBodyTurns(app: FastifyInstance): TakeTurn {
  const turns = new Turns();
  app.decorateRequest('hasTurn', false);
  app.decorateRequest('leaveTurn', nothing);
  // After token and rate have been looked at, and before a byte of the body.
  app.addHook('preParsing', async (request, reply) => {
    const { headers, raw, method, routeOptions } = request;
    const isPublic = routeOptions.config?.access === 'public';
    if (method === 'GET' || method === 'HEAD' || isPublic || !isLarge(headers)) return;
    await turns.take();
    request.hasTurn = true;
    const cut = setTimeout(() => raw.destroy(), longestBodyMs);
    raw.once('end', () => clearTimeout(cut));
    let hasLeft = false;
    const leave = () => {
      clearTimeout(cut);
      if (!hasLeft) turns.leave();
      hasLeft = true;
    };
    request.leaveTurn = leave;
    // Its sender may have left while it waited.
    if (raw.destroyed) leave();
    else onceEndedOrLate(raw, reply.raw, leave);
  });
  return async (request, body) => {
    if (request.hasTurn || decodedBytes(body) <= largeBytes) return () => undefined;
    await turns.take();
    return () => turns.leave();
  };
}

/** gzip says so in its last four bytes. Whoever lies about it gains a turn, and no byte of memory. */
function decodedBytes(body: Buffer): number {
  const isGzip = body.length > 18 && body.readUInt16BE(0) === 0x1f8b;
  return isGzip ? Math.max(body.length, body.readUInt32LE(body.length - 4)) : body.length;
}

function isLarge(headers: Record<string, unknown>): boolean {
  return Number(headers['content-length'] ?? 0) > largeBytes || headers['transfer-encoding'] !== undefined;
}

function onceEndedOrLate(request: IncomingMessage, response: ServerResponse, then: () => void): void {
  let isOver = false;
  const end = () => {
    clearTimeout(deadline);
    if (!isOver) then();
    isOver = true;
  };
  const deadline = setTimeout(end, longestTurnMs).unref();
  onceEnded(request, response, end);
}

function nothing(): void {}

class Turns {
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  /** @throws MonitorError `unavailable` when too many wait, or when it takes too long */
  async take(): Promise<void> {
    if (this.#busy < atOnce) this.#busy++;
    else await this.#wait();
  }

  /**
   * Hands the turn over to whoever waits, once the event loop has looked at the other sockets: a body that has
   * arrived already would be taken in the same breath, and so would the hundred after it.
   */
  leave(): void {
    setImmediate(() => {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#busy--;
    });
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
  return new MonitorError('unavailable', 'the server is busy taking other backlogs; send again later', {
    retryAfterSeconds: 5,
  });
}
