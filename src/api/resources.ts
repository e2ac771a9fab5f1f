import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { canonicalIp } from '../core/ip.ts';
import { resourcesBodySchema } from '../core/schema.ts';
import { reservedNames, roundPercent } from '../core/snapshot.ts';
import { type Reads, readsWithin, rowAt, type UsageFilter, type UsageRow } from '../core/store.ts';
import { untilAborted } from '../read-lane.ts';
import { alarmsAnswer } from './alarm-answer.ts';
import type { AppParts } from './app-parts.ts';
import { arrayText, objectText } from './large-answer.ts';
import { type Page, type PageStart, readPage } from './page.ts';
import { toMonitorError } from './problem.ts';
import { resourcesToSnapshot } from './snapshot-body.ts';

/** What the older server always looked back. */
const windowMs = 5 * 60_000;
const pageRows = 50_000;
/** Of the detailed answer, for all who wait for it. */
const longestMs = 30_000;
/** In one answer; beyond it a sweep of a name is one value. Anybody may write a count of a million. */
const mostValues = 200_000;
const prefix = '/ressources-usage';

/** The older REST wire format: its clients work unchanged, with or without a trailing slash. */
export function resourceRoutes({ store, clock, ingest, alarms, largeAnswers }: AppParts): FastifyPluginAsyncTypebox {
  const lastWindow = () => {
    const to = clock.now();
    return { from: to - windowMs, to };
  };
  const tags = ['older clients'];

  /** It has no parameters: all that ask at the same time have one answer. */
  let shared: Promise<Map<string, number[]>> | null = null;
  const values = () => {
    const bounds = { signal: AbortSignal.timeout(longestMs) };
    shared ??= valuesByName(readsWithin(store, bounds), lastWindow()).finally(() => {
      shared = null;
    });
    return shared;
  };

  return async (app) => {
    app.put(
      `${prefix}/save-all`,
      {
        schema: { tags, summary: 'Store one sweep', body: resourcesBodySchema },
        // These clients know only Ok and NOk.
        errorHandler: (error, _request, reply) => {
          const { code } = toMonitorError(error);
          const theirs = !['internal', 'unavailable', 'timeout'].includes(code);
          if (!theirs) app.log.error({ err: error }, 'save-all failed');
          return reply.code(theirs ? 400 : 503).send({ Response: 'NOk' });
        },
      },
      async (request) => {
        await ingest.write([resourcesToSnapshot(request.body)], { token: request.token, sentAt: null });
        return { Response: 'Ok' };
      },
    );

    // A JSON string that holds JSON: that is how the older server answers, and its clients decode twice.
    const twice = (reply: FastifyReply, value: unknown) =>
      reply.type('application/json; charset=utf-8').serializer(JSON.stringify).send(JSON.stringify(value));

    const means = async (filter: UsageFilter, { reading }: FastifyRequest) => {
      const all = await readsWithin(store, reading).mean({ ...lastWindow(), ...filter });
      const rows = all.filter(({ name }) => !reservedNames.has(name));
      return Object.fromEntries(
        rows.map(({ name, memory, cpu, count }) => [name, [perInstance(memory, count), perInstance(cpu, count)]]),
      );
    };
    app.get(
      `${prefix}/get-all`,
      { schema: { tags, summary: 'As a JSON string: {name: [memory, cpu]}, mean per instance of 5 minutes' } },
      async (request, reply) => twice(reply, await means({}, request)),
    );
    app.get(
      `${prefix}/get-all/:ip`,
      {
        schema: {
          tags,
          summary: 'The same for one address; "{}" for one nobody has',
          params: Type.Object({ ip: Type.String() }),
        },
      },
      async (request, reply) => {
        const ip = canonicalIp(request.params.ip);
        return twice(reply, ip === null ? {} : await means({ ip }, request));
      },
    );

    app.get(
      `${prefix}/get-all-detailed`,
      { schema: { tags, summary: '{name: [memory, ...]}: one value per instance and sweep, oldest first' } },
      async ({ reading }, reply) => {
        const byName = await untilAborted(values(), reading.signal);
        const text = [...byName].map(([name, values]) => [name, arrayText(numbersText(values))] as const);
        return largeAnswers.send(reply, objectText(text));
      },
    );

    app.get(`${prefix}/query-alarm`, { schema: { tags, summary: 'The level and the alarms' } }, async ({ reading }) =>
      alarmsAnswer(await untilAborted(alarms.now(), reading.signal)),
    );
  };
}

/** The memory of each instance of each name, oldest first, read page by page. */
async function valuesByName(reads: Reads<[]>, window: { from: number; to: number }): Promise<Map<string, number[]>> {
  const byName = new Map<string, number[]>();
  let left = mostValues;
  for (let start: PageStart | null = { ...window, skip: 0 }; start !== null; ) {
    const { table, rows, next }: Page = await readPage(reads, start, {}, pageRows);
    for (let index = 0; index < rows; index++) {
      const row = rowAt(table, index);
      if (reservedNames.has(row.name)) continue;
      const added = instancesOf(row, left);
      const values = byName.get(row.name) ?? [];
      byName.set(row.name, values);
      for (const value of added) values.push(value);
      left = Math.max(1, left - added.length);
    }
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
 */
function instancesOf({ memory, memoryMax, count }: UsageRow, most: number): number[] {
  if (memory === null) return [];
  const largest = count === 1 ? memory : (memoryMax ?? memory / count);
  const rest = roundPercent(Math.max(0, memory - largest) / Math.max(1, count - 1));
  return [roundPercent(largest), ...Array<number>(Math.max(0, Math.min(count, most) - 1)).fill(rest)];
}
