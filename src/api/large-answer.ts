import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MonitorError } from '../core/error.ts';
import { collectGarbage } from '../platform/collect-garbage.ts';
import { inPieces } from './json-text.ts';
import { onceEnded } from './once-ended.ts';

/** Whoever takes nothing in for so long is cut off: what is sent to them stays in memory. */
const longestPauseMs = 30_000;
const tidyAfterMs = 15_000;
export const jsonType = 'application/json; charset=utf-8';
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
    return this.#sendLarge(request, reply, oneByOne([first, second.value], pieces));
  }

  /** The same of what is made elsewhere; whoever makes it learns when nobody wants the rest. */
  async sendPieces(
    request: FastifyRequest,
    reply: FastifyReply,
    pieces: AsyncGenerator<Uint8Array>,
    type: string,
  ): Promise<FastifyReply> {
    const first = await pieces.next();
    const second = first.done ? first : await pieces.next();
    void reply.type(type);
    if (first.done || second.done) return reply.send(Buffer.from(first.value ?? []));
    try {
      return this.#sendLarge(request, reply, following([first.value, second.value], pieces));
    } catch (error) {
      await pieces.return(undefined);
      throw error;
    }
  }

  #sendLarge(request: FastifyRequest, reply: FastifyReply, pieces: AsyncIterable<string | Uint8Array>): FastifyReply {
    const leave = this.#enter(request.token?.id ?? request.ip);
    const watch = cutWhenStuck(request.raw, reply.raw);
    onceEnded(request.raw, reply.raw, () => {
      leave();
      clearInterval(watch);
    });
    return reply.send(Readable.from(pieces, { objectMode: false }));
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

async function* following(first: readonly Uint8Array[], rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

async function* oneByOne(first: readonly string[], rest: Iterable<string>): AsyncGenerator<string> {
  yield* first;
  for (const piece of rest) {
    yield piece;
    await setImmediate();
  }
}
