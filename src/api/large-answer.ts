import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MonitorError } from '../core/error.ts';
import { collectGarbage } from '../platform/collect-garbage.ts';
import { onceEnded } from './once-ended.ts';

/** Text is handed on in pieces of about this size, each in a turn of the event loop of its own. */
const pieceCharacters = 64 * 1024;
/** Whoever takes nothing in for so long is cut off: what is sent to them stays in memory. */
const longestPauseMs = 30_000;
const tidyAfterMs = 15_000;
const jsonType = 'application/json; charset=utf-8';
const mostInAll = 64;
const mostOfOne = 24;

/** Answers that are too large to be made in one go, and so many of them at a time, of all and of one. */
export class LargeAnswers {
  readonly #underWay = new Map<string, number>();
  #tidying: NodeJS.Timeout | undefined;

  /**
   * Sends text while it is being made; as fast as it is read, and never for longer at once than others wait.
   * @throws MonitorError `unavailable` when too many are being sent
   */
  send(request: FastifyRequest, reply: FastifyReply, parts: Iterable<string>, type = jsonType): FastifyReply {
    const pieces = inPieces(parts);
    const first = pieces.next().value ?? '';
    const second = pieces.next();
    void reply.type(type);
    // Most answers are small.
    if (second.done) return reply.send(first);
    const leave = this.#enter(request.token?.id ?? request.ip);
    const watch = cutWhenStuck(request.raw, reply.raw);
    onceEnded(request.raw, reply.raw, () => {
      leave();
      clearInterval(watch);
    });
    return reply.send(Readable.from(oneByOne([first, second.value], pieces), { objectMode: false }));
  }

  /** @returns how to leave */
  #enter(who: string): () => void {
    const own = this.#underWay.get(who) ?? 0;
    const all = [...this.#underWay.values()].reduce((sum, count) => sum + count, 0);
    if (own >= mostOfOne || all >= mostInAll)
      throw new MonitorError(
        'unavailable',
        `too many large answers are on their way (${own} to you, ${all} in all); read them, and ask again later`,
        {
          retryAfterSeconds: 5,
        },
      );
    this.#underWay.set(who, own + 1);
    clearTimeout(this.#tidying);
    return () => {
      this.#tidyLater();
      const left = (this.#underWay.get(who) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(who);
      else this.#underWay.set(who, left);
    };
  }

  /** Once none has been sent for a while, what they took is given back. */
  #tidyLater(): void {
    clearTimeout(this.#tidying);
    this.#tidying = setTimeout(collectGarbage, tidyAfterMs).unref();
  }
}

/** Whoever takes in nothing, or waits behind an answer of theirs that does not end. */
function cutWhenStuck({ socket }: IncomingMessage, response: ServerResponse): NodeJS.Timeout {
  let written = -1;
  return setInterval(() => {
    const bytes = response.socket === null ? 0 : socket.bytesWritten;
    if (bytes === written || response.socket === null) socket.destroy();
    written = bytes;
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

/** Text that several are sent, made once. */
export async function madeText(parts: Iterable<string>): Promise<string[]> {
  const made: string[] = [];
  for (const piece of inPieces(parts)) {
    // Flat: a text that was put together keeps all its parts alive.
    made.push(Buffer.from(piece).toString());
    await setImmediate();
  }
  return made;
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
