import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { resourcesBodySchema } from '../core/schema.ts';
import { roundPercent } from '../core/snapshot.ts';
import { alarmsAnswer } from './alarm-answer.ts';
import type { AppParts } from './app-parts.ts';
import { type Page, type PageStart, readPage } from './page.ts';
import { toMonitorError } from './problem.ts';
import { resourcesToSnapshot } from './snapshot-body.ts';
import { filterOf } from './window.ts';

/** What the older server always looked back. */
const windowMs = 5 * 60_000;
const pageRows = 10_000;
const prefix = '/ressources-usage';

/** The older REST wire format: its clients work unchanged, with or without a trailing slash. */
export function resourceRoutes({ store, clock, ingest, alarms }: AppParts): FastifyPluginAsyncTypebox {
  const lastWindow = () => {
    const to = clock.now();
    return { from: to - windowMs, to };
  };
  const tags = ['older clients'];

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

    const means = async (ip: string | undefined) => {
      const window = lastWindow();
      const filter = ip === undefined ? {} : await filterOf({ ip }, store, window.to);
      const perInstance = (value: number | null, count: number) =>
        value === null ? null : roundPercent(value / count);
      const rows = await store.mean({ ...window, ...filter });
      return Object.fromEntries(
        rows.map((row) => [row.name, [perInstance(row.memory, row.count), perInstance(row.cpu, row.count)]]),
      );
    };
    app.get(
      `${prefix}/get-all`,
      { schema: { tags, summary: '{name: [memory, cpu]}, mean per instance of 5 minutes' } },
      () => means(undefined),
    );
    app.get(
      `${prefix}/get-all/:ip`,
      { schema: { tags, summary: 'The same for one address', params: Type.Object({ ip: Type.String() }) } },
      ({ params }) => means(params.ip),
    );

    app.get(
      `${prefix}/get-all-detailed`,
      { schema: { tags, summary: '{name: [memory, ...]} per instance, oldest first' } },
      async () => {
        const byName = new Map<string, number[]>();
        for (let start: PageStart | null = { ...lastWindow(), skip: 0 }; start !== null; ) {
          const { rows, next }: Page = await readPage(store, start, {}, pageRows);
          for (const row of rows) if (row.memory !== null) addValue(byName, row.name, row.memory / row.count);
          start = next;
        }
        return Object.fromEntries(byName);
      },
    );

    app.get(`${prefix}/query-alarm`, { schema: { tags, summary: 'The level and the alarms' } }, async () =>
      alarmsAnswer(await alarms.now()),
    );
  };
}

function addValue(byName: Map<string, number[]>, name: string, value: number): void {
  const values = byName.get(name) ?? [];
  byName.set(name, values);
  values.push(roundPercent(value));
}
