import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import { mostNames } from '../../core/answer-bounds.ts';
import { MonitorError } from '../../core/error.ts';
import { type PageQuery, type Reads, readsWithin, type TimeWindow } from '../../core/store.ts';
import type { DesiredSettingsOfHosts } from '../../hosts/desired-settings.ts';
import { canonicalIp } from '../../platform/ip.ts';
import { desiredHeader, formatDesired } from '../../wire/desired-settings.ts';
import { detailedColumnsSchema, detailedSchema, meanSchema } from '../../wire/history.ts';
import { type SnapshotBody, takenSchema, usageBodySchema } from '../../wire/snapshot.ts';
import { toSnapshot } from '../../wire/snapshot-codec.ts';
import type { AppParts } from '../app-parts.ts';
import { csvType } from '../csv.ts';
import { formatCursor, type Page, parseCursor, readPage } from '../history-page.ts';
import { jsonType } from '../large-answer.ts';
import { meanText } from '../mean-text.ts';
import { type TableFormat, tableFormats } from '../table-text.ts';
import { filterOf, refuseUnknownAddress, windowOf, windowQuery } from '../window.ts';

/** The cursor of the next page, also where the body has no place for it. */
const nextHeader = 'amberwatch-next';
const parquetType = 'application/vnd.apache.parquet';
const defaultLimit = 10_000;
/** Names in the means, unless more are asked for: what is looked at is the top of them. */
const defaultTop = 500;
const cheaper = 'a shorter window (window=), one host (host=) or one process (process=)';
const cheaperPage = 'fewer rows (limit=), a shorter window (window=) or one host (host=)';

const meanQuery = Type.Object({
  ...windowQuery.properties,
  top: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: mostNames,
      default: defaultTop,
      description: 'Only the so many highest by mean CPU; 0: all.',
    }),
  ),
});
const detailedQuery = Type.Object({
  ...windowQuery.properties,
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 50_000, default: defaultLimit, description: 'Rows per page.' }),
  ),
  format: Type.Optional(
    Type.Enum([...tableFormats, 'parquet'], {
      default: 'objects',
      description:
        '`objects`: by process name. `columns`: equally long arrays, a third as long. `csv`: with a line of names; `parquet`: from the embedded store; of these two the cursor of the next page is in the header amberwatch-next.',
    }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: '`next` of the page before.' })),
});

const putUsage = {
  schema: {
    tags: ['usage'],
    summary: 'Store one snapshot, or an array of up to 100',
    description:
      '204 once it is stored durably. The same (host, time) again: 204, stored once. 200 where some were older than the retention. 425 for one that is more than a day ahead. gzip is accepted. At most 1 MiB, decoded.',
    body: usageBodySchema,
    response: { 200: takenSchema, 204: Type.Null({ description: 'All are stored.' }) },
  },
};

const getMean = {
  config: { cheaper },
  schema: {
    tags: ['usage'],
    summary: 'Mean CPU and memory per process name',
    querystring: meanQuery,
    response: { 200: meanSchema },
  },
};

const getMeanOfAddress = {
  config: { cheaper },
  schema: {
    tags: ['usage'],
    summary: 'The same for the host with this address',
    params: Type.Object({ ip: Type.String({ description: 'Dots, hyphens (10-0-0-5) or IPv6.' }) }),
    querystring: Type.Omit(meanQuery, ['ip']),
    response: { 200: meanSchema },
  },
};

const getDetailed = {
  config: { cheaper: cheaperPage },
  schema: {
    tags: ['usage'],
    summary: 'The raw history, oldest first',
    querystring: detailedQuery,
    response: { 200: Type.Union([detailedSchema, detailedColumnsSchema]) },
  },
};

/** PUT a snapshot or a backlog; GET means and the raw history. */
export function usageRoutes({
  store,
  clock,
  ingest,
  largeAnswers,
  tableTexts,
  desired,
}: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.put('/v1/usage', putUsage, async (request, reply) => {
      // A local socket has no address.
      const ip = canonicalIp(request.ip ?? '');
      const bodies = Array.isArray(request.body) ? request.body : [request.body];
      const taken = await ingest.write(
        bodies.map((body) => toSnapshot(body, ip)),
        { token: request.token, sentAt: sentAtOf(request.headers.date) },
      );
      sayDesired(reply, bodies, desired);
      return taken.expired > 0 ? taken : reply.code(204).send(null);
    });

    const mean = async (query: Static<typeof meanQuery>, request: FastifyRequest, reply: FastifyReply) => {
      const window = windowOf(query, clock.now());
      const filter = filterOf(query);
      const reads = readsWithin(store, request.reading);
      const top = query.top ?? defaultTop;
      const [rows, resolution] = await Promise.all([
        reads.means({ ...window, ...filter, ...(top > 0 && { top }) }),
        reads.resolution(window),
      ]);
      if (rows.length === 0) await refuseUnknownAddress(filter, reads, window);
      return largeAnswers.send(request, reply, meanText(window, resolution, rows));
    };
    app.get('/v1/usage/mean', getMean, (request, reply) => mean(request.query, request, reply));

    app.get('/v1/usage/mean/:ip', getMeanOfAddress, (request, reply) =>
      mean({ ...request.query, ip: request.params.ip }, request, reply),
    );

    app.get('/v1/usage/detailed', getDetailed, async (request, reply) => {
      const { query, reading } = request;
      const start =
        query.cursor === undefined ? { ...windowOf(query, clock.now()), skip: 0 } : parseCursor(query.cursor);
      const filter = filterOf(query);
      const reads = readsWithin(store, reading);
      const page = await readPage(reads, start, filter, query.limit ?? defaultLimit);
      if (page.rows === 0) await refuseUnknownAddress(filter, reads, start);
      const format = (query.format ?? 'objects') as TableFormat | 'parquet';
      if (page.next !== null) void reply.header(nextHeader, formatCursor(page.next));
      if (format === 'parquet')
        return (reply as FastifyReply)
          .type(parquetType)
          .send(await parquetOf(reads, { ...start, to: endOf(page, start), ...filter, limit: page.rows }));
      const pieces = tableTexts.pieces(start, page, format);
      return largeAnswers.sendPieces(request, reply, pieces, format === 'csv' ? csvType : jsonType);
    });
  };
}

/** The last instant of a page: of a long window only what is up to it has to be sorted again. */
function endOf({ table, rows }: Page, { from }: TimeWindow): number {
  return rows === 0 ? from : (table.time[rows - 1] as number);
}

/** @throws MonitorError `invalid` where the engine writes none */
async function parquetOf(reads: Reads<[]>, query: PageQuery): Promise<Buffer> {
  if (reads.parquet === undefined)
    throw new MonitorError('invalid', 'format=parquet is written by the embedded store alone; ask for format=csv');
  return Buffer.from((await reads.parquet(query)).buffer);
}

/** To the collector of one host what somebody wants of it. */
function sayDesired(reply: FastifyReply, bodies: readonly SnapshotBody[], desired: DesiredSettingsOfHosts): void {
  const host = (bodies[0]?.host ?? '').toWellFormed();
  const text = formatDesired(desired.of(host));
  if (text !== '' && bodies.every((body) => body.host === bodies[0]?.host)) void reply.header(desiredHeader, text);
}

/** The sender's clock, in whole seconds. */
function sentAtOf(date: string | undefined): number | null {
  const time = Date.parse(date ?? '');
  return Number.isNaN(time) ? null : time;
}
