import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { isStale } from '../../core/alarm.ts';
import type { SnapshotHeader } from '../../core/snapshot.ts';
import { type Reading, type Reads, readLimit, readsWithin } from '../../core/store.ts';
import { untilAborted } from '../../platform/deadline.ts';
import { LruCache } from '../../platform/lru-cache.ts';
import { singleFlightFor } from '../../platform/single-flight.ts';
import { newestSchema } from '../../wire/newest.ts';
import type { AppParts } from '../app-parts.ts';
import { arrayText, objectText } from '../json-text.ts';
import { madeText } from '../large-answer.ts';
import { type NewestUsage, newestUsage } from '../newest-usage.ts';
import { instantOf, iso } from '../window.ts';

/** However many ask the same, it is made at most so often. */
const madeEveryMs = 1000;
const longestReadMs = 8_000;
/** Different questions that are remembered: of all hosts a text may be large. */
const mostQuestions = { ofAll: 2, ofOne: 50 };
/** Of one host: more processes nobody looks at. */
const mostOfHost = 10_000;

const getNewest = {
  schema: {
    tags: ['usage'],
    summary: 'What every process uses: the newest snapshot of each host, or of one',
    description: 'Now: at most a second old.',
    querystring: Type.Object({
      host: Type.Optional(Type.String({ minLength: 1, description: 'Only this host.' })),
      at: Type.Optional(Type.String({ format: 'date-time', description: 'As it was then; default: now.' })),
      top: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: mostOfHost,
          default: 0,
          description: 'Of each host the so many highest by CPU, and as many by memory; 0: all.',
        }),
      ),
    }),
    response: { 200: newestSchema },
  },
};

/** What is used now, from memory while somebody asks again and again. */
export function newestRoutes(parts: AppParts): FastifyPluginAsyncTypebox {
  const { clock, largeAnswers } = parts;
  const ofAll = new LruCache<string, () => Promise<string[]>>(mostQuestions.ofAll);
  const ofOne = new LruCache<string, () => Promise<string[]>>(mostQuestions.ofOne);
  const shared = (host: string | undefined, top: number) => {
    const questions = host === undefined ? ofAll : ofOne;
    const key = `${top} ${host ?? ''}`;
    const known = questions.get(key);
    if (known !== undefined) return known();
    const made = singleFlightFor(
      madeEveryMs,
      () => clock.monotonic(),
      () => newestText(parts, host, top),
    );
    questions.set(key, made);
    return made();
  };
  return async (app) => {
    app.get('/v1/usage/newest', getNewest, async (request, reply) => {
      const { host, top = 0 } = request.query;
      const most = top === 0 ? mostOfHost : top;
      const made = request.query.at === undefined ? shared(host, most) : textAt(parts, host, most, request);
      return largeAnswers.send(request, reply, await untilAborted(made, request.reading.signal));
    });
  };
}

async function newestText(parts: AppParts, host: string | undefined, top: number): Promise<string[]> {
  const signal = readLimit(longestReadMs);
  const headers = await untilAborted(parts.hosts.now(), signal);
  const reads = readsWithin(parts.store, { lane: 'present', signal });
  return textOf(parts, headers, parts.clock.now(), { host, top }, reads);
}

async function textAt(
  parts: AppParts,
  host: string | undefined,
  top: number,
  { query, reading }: { query: { at?: string }; reading: Reading },
): Promise<string[]> {
  const at = instantOf(query.at, parts.clock.now());
  const reads = readsWithin(parts.store, reading);
  return textOf(parts, await reads.latest(at), at, { host, top }, reads);
}

/** Of those that were not silent by then. */
async function textOf(
  { latestUsage }: AppParts,
  headers: readonly SnapshotHeader[],
  at: number,
  { host, top }: { host: string | undefined; top: number },
  reads: Reads<[]>,
): Promise<string[]> {
  const heard = headers.filter((header) => !isStale(header, at) && (host === undefined || header.host === host));
  const usage = await newestUsage(heard, top, latestUsage, reads);
  const times = new Map(heard.map((header) => [header.host, header.time]));
  const byName = [...usage].sort((a, b) => (a.host < b.host ? -1 : 1));
  const texts = byName.map((each) => hostText(each, times.get(each.host) ?? at));
  return madeText(
    objectText([
      ['at', [JSON.stringify(iso(at))]],
      ['hosts', arrayText(texts)],
    ]),
  );
}

function hostText({ host, processes, indexes }: NewestUsage, time: number): string {
  const of = <T>(values: readonly T[]) => indexes.map((index) => values[index]);
  const { name, cpu, memory, count, pid } = processes;
  return JSON.stringify({
    host,
    time: iso(time),
    process: of(name),
    cpu: of(cpu),
    memory: of(memory),
    count: of(count),
    pid: of(pid),
  });
}
