import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type, { type Static } from 'typebox';
import { groupBy } from '../core/group-by.ts';
import { canonicalIp } from '../core/ip.ts';
import {
  type DetailedAnswer,
  detailedSchema,
  type MeanAnswer,
  meanSchema,
  takenSchema,
  usageBodySchema,
} from '../core/schema.ts';
import { roundPercent } from '../core/snapshot.ts';
import type { MeanRow, TimeWindow } from '../core/store.ts';
import type { AppParts } from './app-parts.ts';
import { formatCursor, type Page, parseCursor, readPage } from './page.ts';
import { toSnapshot } from './snapshot-body.ts';
import { filterOf, iso, refuseUnknownAddress, windowOf, windowQuery } from './window.ts';

const defaultLimit = 10_000;

const meanQuery = Type.Object({
  ...windowQuery.properties,
  top: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000, description: 'Only the so many highest by mean CPU.' }),
  ),
});
const detailedQuery = Type.Object({
  ...windowQuery.properties,
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 50_000, default: defaultLimit, description: 'Rows per page.' }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: '`next` of the page before.' })),
});

/** PUT a snapshot or a backlog; GET means and the raw history. */
export function usageRoutes({ store, clock, ingest }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.put(
      '/v1/usage',
      {
        schema: {
          tags: ['usage'],
          summary: 'Store one snapshot, or an array of up to 100',
          description:
            '204 once it is stored durably. The same (host, time) again: 204, stored once. 200 where some were older than the retention. 425 for one that is more than a day ahead. gzip is accepted. At most 1 MiB, decoded.',
          body: usageBodySchema,
          response: { 200: takenSchema, 204: Type.Null({ description: 'All are stored.' }) },
        },
      },
      async (request, reply) => {
        const ip = canonicalIp(request.ip);
        const bodies = Array.isArray(request.body) ? request.body : [request.body];
        const taken = await ingest.write(
          bodies.map((body) => toSnapshot(body, ip)),
          { token: request.token, sentAt: sentAtOf(request.headers.date) },
        );
        return taken.expired > 0 ? taken : reply.code(204).send(null);
      },
    );

    const mean = async (query: Static<typeof meanQuery>) => {
      const window = windowOf(query, clock.now());
      const filter = filterOf(query);
      const rows = await store.mean({ ...window, ...filter, ...(query.top && { top: query.top }) });
      if (rows.length === 0) await refuseUnknownAddress(filter, store, window);
      return meanAnswer(window, rows);
    };
    app.get(
      '/v1/usage/mean',
      {
        schema: {
          tags: ['usage'],
          summary: 'Mean CPU and memory per process name',
          querystring: meanQuery,
          response: { 200: meanSchema },
        },
      },
      ({ query }) => mean(query),
    );

    app.get(
      '/v1/usage/mean/:ip',
      {
        schema: {
          tags: ['usage'],
          summary: 'The same for the host with this address',
          params: Type.Object({ ip: Type.String({ description: 'Dots, hyphens (10-0-0-5) or IPv6.' }) }),
          querystring: Type.Omit(meanQuery, ['ip']),
          response: { 200: meanSchema },
        },
      },
      ({ params, query }) => mean({ ...query, ip: params.ip }),
    );

    app.get(
      '/v1/usage/detailed',
      {
        schema: {
          tags: ['usage'],
          summary: 'The raw history, oldest first',
          querystring: detailedQuery,
          response: { 200: detailedSchema },
        },
      },
      async ({ query }) => {
        const start =
          query.cursor === undefined ? { ...windowOf(query, clock.now()), skip: 0 } : parseCursor(query.cursor);
        const filter = filterOf(query);
        const page = await readPage(store, start, filter, query.limit ?? defaultLimit);
        if (page.rows.length === 0) await refuseUnknownAddress(filter, store, start);
        return detailedAnswer(start, page);
      },
    );
  };
}

/** The sender's clock, in whole seconds. */
function sentAtOf(date: string | undefined): number | null {
  const time = Date.parse(date ?? '');
  return Number.isNaN(time) ? null : time;
}

function meanAnswer(window: TimeWindow, rows: readonly MeanRow[]): MeanAnswer {
  const round = (value: number | null) => (value === null ? null : roundPercent(value));
  const processes = rows.map(({ name, ...row }) => [
    name,
    { ...row, cpu: round(row.cpu), memory: round(row.memory), count: roundPercent(row.count) },
  ]);
  return { from: iso(window.from), to: iso(window.to), processes: Object.fromEntries(processes) };
}

function detailedAnswer(start: TimeWindow, { rows, next }: Page): DetailedAnswer {
  const processes = [...groupBy(rows, (row) => row.name)].map(([name, group]) => {
    const points = group.map(({ name: _, time, ...row }) => ({ ...row, time: iso(time) }));
    return [name, points] as const;
  });
  return {
    from: iso(start.from),
    to: iso(start.to),
    processes: Object.fromEntries(processes),
    next: next && formatCursor(next),
  };
}
