import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { MonitorError } from '../core/error.ts';

/** Text is handed on in pieces of about this size, each in a turn of the event loop of its own. */
const pieceCharacters = 64 * 1024;
/** Whoever takes nothing in for so long is cut off: what is sent to them stays in memory. */
const longestPauseMs = 30_000;
const mostAtOnce = 64;

/** Answers that are too large to be made in one go, and so many of them at a time. */
export class LargeAnswers {
  #underWay = 0;

  /**
   * Sends text as JSON while it is being made; as fast as it is read, and never for longer at once than others wait.
   * @throws MonitorError `unavailable` when too many are being sent
   */
  send(reply: FastifyReply, parts: Iterable<string>): FastifyReply {
    const pieces = inPieces(parts);
    const first = pieces.next().value ?? '';
    const second = pieces.next();
    void reply.type('application/json; charset=utf-8');
    // Most answers are small.
    if (second.done) return reply.send(first);
    if (this.#underWay >= mostAtOnce)
      throw new MonitorError('unavailable', 'many large answers are being sent; ask again later', {
        retryAfterSeconds: 5,
      });
    this.#underWay++;
    const watch = cutWhenStuck(reply.raw);
    reply.raw.once('close', () => {
      this.#underWay--;
      clearInterval(watch);
    });
    return reply.send(Readable.from(oneByOne([first, second.value], pieces), { objectMode: false }));
  }
}

function cutWhenStuck(response: ServerResponse): NodeJS.Timeout {
  let unread = -1;
  return setInterval(() => {
    if (response.writableLength > 0 && response.writableLength === unread) response.destroy();
    unread = response.writableLength;
  }, longestPauseMs).unref();
}

function* inPieces(parts: Iterable<string>): Generator<string, undefined> {
  let piece = '';
  for (const part of parts) {
    piece += part;
    if (piece.length < pieceCharacters) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

async function* oneByOne(first: readonly string[], rest: Iterable<string>): AsyncGenerator<string> {
  yield* first;
  for (const piece of rest) {
    yield piece;
    await setImmediate();
  }
}

/** The text of an object whose values are made one by one, in pieces. */
export function* objectText(entries: Iterable<readonly [key: string, value: Iterable<string>]>): Generator<string> {
  let before = '{';
  for (const [key, value] of entries) {
    yield `${before}${JSON.stringify(key)}:`;
    yield* value;
    before = ',';
  }
  yield before === '{' ? '{}' : '}';
}

/** The text of an array whose items are made one by one. */
export function* arrayText(items: Iterable<string>): Generator<string> {
  let before = '[';
  for (const item of items) {
    yield before + item;
    before = ',';
  }
  yield before === '[' ? '[]' : ']';
}
