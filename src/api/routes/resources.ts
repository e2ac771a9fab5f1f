import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { mostNames } from '../../core/answer-bounds.ts';
import { reservedNames, roundPercent } from '../../core/snapshot.ts';
import {
  type MeanRow,
  type Reads,
  readLimit,
  readsWithin,
  type TimeWindow,
  type UsageFilter,
} from '../../core/store.ts';
import type { UsageTable } from '../../core/usage-table.ts';
import { untilAborted } from '../../platform/deadline.ts';
import { canonicalIp } from '../../platform/ip.ts';
import type { Log } from '../../platform/log.ts';
import { singleFlight } from '../../platform/single-flight.ts';
import { resourcesBodySchema } from '../../wire/resources.ts';
import { resourcesToSnapshot } from '../../wire/snapshot-codec.ts';
import { alarmsAnswer } from '../alarm-answer.ts';
import type { AppParts } from '../app-parts.ts';
import { type Page, type PageStart, readPage } from '../history-page.ts';
import { arrayText, objectText } from '../json-text.ts';
import { madeText } from '../large-answer.ts';
import { toMonitorError } from '../problem.ts';

/** What the older server always looked back. */
const windowMs = 5 * 60_000;
const pageRows = 20_000;
/** Of the detailed answer, for all who wait for it. */
const longestMs = 30_000;
/** In one answer; beyond it a sweep of a name is one value. Anybody may write a count of a million. */
const mostValues = 200_000;
const prefix = '/ressources-usage';

const tags = ['older clients'];
const getMeans = {
  schema: { tags, summary: 'As a JSON string: {name: [memory, cpu]}, mean per instance of 5 minutes' },
};
const getMeansOfAddress = {
  schema: {
    tags,
    summary: 'The same for one address; "{}" for one nobody has',
    params: Type.Object({ ip: Type.String() }),
  },
};
const getDetailed = {
  schema: { tags, summary: '{name: [memory, ...]}: one value per instance and sweep, oldest first' },
};
const getAlarms = { schema: { tags, summary: 'The level and the alarms' } };
const putSweep = {
  schema: { tags, summary: 'Store one sweep', body: resourcesBodySchema },
};

/** The older REST wire format: its clients work unchanged, with or without a trailing slash. */
export function resourceRoutes(parts: AppParts): FastifyPluginAsyncTypebox {
  const { store, clock, ingest, alarms, largeAnswers, log } = parts;
  /** It has no parameters: all that ask at the same time have one answer. */
  const values = singleFlight(() =>
    valuesText(readsWithin(store, { signal: readLimit(longestMs) }), lastWindow(clock.now())),
  );
  return async (app) => {
    app.put(`${prefix}/save-all`, { ...putSweep, errorHandler: answerNok(log) }, async (request) => {
      await ingest.write([resourcesToSnapshot(request.body)], { token: request.token, sentAt: null });
      return { Response: 'Ok' };
    });
    app.get(`${prefix}/get-all`, getMeans, (request, reply) => sendMeans(parts, {}, request, reply));
    app.get(`${prefix}/get-all/:ip`, getMeansOfAddress, (request, reply) => {
      const ip = canonicalIp(request.params.ip);
      return sendMeans(parts, ip === null ? null : { ip }, request, reply);
    });
    app.get(`${prefix}/get-all-detailed`, getDetailed, async (request, reply) => {
      const text = await untilAborted(values(), request.reading.signal);
      return largeAnswers.send(request, reply, text);
    });
    app.get(`${prefix}/query-alarm`, getAlarms, async ({ reading }) => {
      const answer = alarmsAnswer(await untilAborted(alarms.now(), reading.signal));
      // What these clients have always had, and nothing else.
      const { paused: __, ...known } = answer;
      return { ...known, alarms: answer.alarms.map(({ culprits: _, ...alarm }) => alarm) };
    });
  };
}

/** These clients know only Ok and NOk. */
function answerNok(log: Log) {
  return (error: FastifyError, _request: FastifyRequest, reply: FastifyReply) => {
    const { code } = toMonitorError(error);
    const theirs = !['internal', 'unavailable', 'timeout'].includes(code);
    if (!theirs) log.error({ err: error }, 'save-all failed');
    return reply.code(theirs ? 400 : 503).send({ Response: 'NOk' });
  };
}

function lastWindow(now: number): TimeWindow {
  return { from: now - windowMs, to: now };
}

/**
 * A JSON string that holds JSON: that is how the older server answers, and its clients decode twice.
 * @param filter null: nobody is meant
 */
async function sendMeans(
  { store, clock, largeAnswers }: AppParts,
  filter: UsageFilter | null,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const query = { ...lastWindow(clock.now()), ...filter, top: mostNames };
  const all = filter === null ? [] : await readsWithin(store, request.reading).means(query);
  const rows = all.filter(({ name }) => !reservedNames.has(name));
  const text = ({ memory, cpu, count }: MeanRow) =>
    JSON.stringify([perInstance(memory, count), perInstance(cpu, count)]);
  const entries = rows.map((row) => [row.name, [text(row)]] as const);
  return largeAnswers.send(request, reply, quotedText(objectText(entries)));
}

async function valuesText(reads: Reads<[]>, window: TimeWindow): Promise<string[]> {
  const byName = await valuesByName(reads, window);
  return madeText(objectText([...byName].map(([name, values]) => [name, arrayText(numbersText(values))] as const)));
}

/** The memory of each instance of each name, oldest first, read page by page. */
async function valuesByName(reads: Reads<[]>, window: TimeWindow): Promise<Map<string, number[]>> {
  const byName = new Map<string, number[]>();
  let left = mostValues;
  for (let start: PageStart | null = { ...window, skip: 0 }; start !== null; ) {
    const { table, rows, next }: Page = await readPage(reads, start, {}, pageRows);
    const lists = table.names.map((name) => byName.get(name) ?? []);
    for (const [place, name] of table.names.entries())
      if (!reservedNames.has(name)) byName.set(name, lists[place] as number[]);
    for (let index = 0; index < rows; index++)
      left = Math.max(1, left - addInstances(lists[table.name[index] as number] as number[], table, index, left));
    start = next;
  }
  return byName;
}

function* numbersText(values: readonly number[]): Generator<string> {
  for (const value of values) yield String(value);
}

/** These clients compare with 80: what is not known is 0, as it was to the older server. */
function perInstance(value: number | null, count: number): number {
  return roundPercent((value ?? 0) / count);
}

/**
 * The largest instance, and the mean of the others: the sum, the largest and the count are what is kept.
 * @param most values at most
 * @returns how many were added
 */
function addInstances(values: number[], table: UsageTable, index: number, most: number): number {
  const [memory, memoryMax, count] = [table.memory, table.memoryMax, table.count].map((column) => column[index]) as [
    number,
    number,
    number,
  ];
  if (Number.isNaN(memory)) return 0;
  const largest = count === 1 ? memory : Number.isNaN(memoryMax) ? memory / count : memoryMax;
  const rest = roundPercent(Math.max(0, memory - largest) / Math.max(1, count - 1));
  const added = Math.max(1, Math.min(count, most));
  values.push(roundPercent(largest));
  for (let k = 1; k < added; k++) values.push(rest);
  return added;
}

/** JSON as a JSON string. */
function* quotedText(parts: Iterable<string>): Generator<string> {
  yield '"';
  for (const part of parts) yield JSON.stringify(part).slice(1, -1);
  yield '"';
}
