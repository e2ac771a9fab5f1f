import { setImmediate } from 'node:timers/promises';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { TokenRecord } from '../../access/token.ts';
import { MonitorError } from '../../core/error.ts';
import { prometheusOwner } from '../../core/sample.ts';
import { notStored, type ScrapedIngestResult } from '../../ingest/ingest.ts';
import { LruCache } from '../../platform/lru-cache.ts';
import { type RemoteWrite, RemoteWriteReader, type SeriesCache } from '../../wire/remote-write.ts';
import { snappyLength, unpackSnappy } from '../../wire/snappy.ts';
import type { AppParts } from '../app-parts.ts';
import { NewSeriesTurns } from '../new-series-turns.ts';

/** Of one body, packed and unpacked: Prometheus sends some 100 KB, others up to 8 MiB. */
const longestBytes = 8 * 1024 * 1024;
/** Of all bodies that are unpacked and not stored yet. */
const mostUnpackedBytes = 2 * longestBytes;
/** Series whose labels are remembered. */
const mostRemembered = 100_000;
/** Of all bodies that are being stored. */
const mostWaitingSamples = 400_000;
/** A body with a smaller share of new series is written as if it had none. */
const fewNew = 0.02;
/** Other requests have their turn after so long. */
const turnMs = 5;
const retryAfterSeconds = 1;

const postRemoteWrite = {
  // Prometheus does not send again what was refused with 429: who is slowed down is told 503.
  config: { rateLimit: false },
  bodyLimit: longestBytes,
  schema: {
    tags: ['usage'],
    summary: "Take Prometheus' remote write 1.0",
    description:
      'A WriteRequest as protobuf in a block of snappy (application/x-protobuf), at most 8 MiB. 204 once all of it is stored durably; the same series and time again is stored once, in any order. 400 for what is none: then nothing is stored; and for samples that cannot be kept, with how many and why: then the others are. 415 for version 2.0; 503 with Retry-After when there is too much at once. Stale markers end a series. Native histograms, exemplars and values that are no number are counted in /metrics and left out. A write token of a source may only send series whose label source is that source.',
    response: { 204: Type.Null({ description: 'All is stored.' }) },
  },
};

/** POST what a Prometheus, its agent mode, Telegraf or vmagent writes. */
export function remoteWriteRoutes({ clock, ingest }: AppParts): FastifyPluginAsyncTypebox {
  const known: SeriesCache = new LruCache(mostRemembered);
  const turns = new NewSeriesTurns(() => clock.monotonic());
  let unpackedBytes = 0;
  let waitingSamples = 0;

  async function read(block: Buffer, owner: string): Promise<RemoteWrite> {
    unpackedBytes += snappyLength(block);
    try {
      const reader = new RemoteWriteReader(unpackSnappy(block), known, owner);
      let end = clock.monotonic() + turnMs;
      while (reader.read(() => clock.monotonic() >= end)) {
        await setImmediate();
        end = clock.monotonic() + turnMs;
      }
      return reader.found;
    } finally {
      unpackedBytes -= snappyLength(block);
    }
  }

  async function store({ samples, unknown }: RemoteWrite, token: TokenRecord | null): Promise<ScrapedIngestResult> {
    if (waitingSamples > 0 && waitingSamples + samples.length > mostWaitingSamples) throw tooMuch();
    waitingSamples += samples.length;
    try {
      const write = () => ingest.writeScraped(samples, token).catch(explainForbidden);
      const areNew = unknown.length > samples.length * fewNew;
      const result = areNew ? await turns.take(write) : await write();
      // Of a body that is all beyond the budget nothing comes again that would be worth it.
      if (result.stored > 0) for (const [labels, series] of unknown) known.set(labels, series);
      return result;
    } finally {
      waitingSamples -= samples.length;
    }
  }

  return async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      'application/x-protobuf',
      { parseAs: 'buffer' },
      async (_: FastifyRequest, body: Buffer) => body,
    );
    app.post('/v1/prometheus/write', postRemoteWrite, async (request, reply) => {
      const { body, headers, token } = request;
      checkVersion(headers);
      const block = blockOf(body);
      if (unpackedBytes > 0 && unpackedBytes + snappyLength(block) > mostUnpackedBytes) throw tooMuch();
      const written = await read(block, prometheusOwner(token?.source ?? token?.host ?? null));
      // It is read: who has a backlog need not wait for what becomes of it.
      request.leaveTurn();
      const { refused, leftOut } = written;
      const result = await store(written, token);
      ingest.counts.histograms += leftOut.histograms;
      ingest.counts.exemplars += leftOut.exemplars;
      ingest.counts.notNumbers += leftOut.notNumbers;
      ingest.counts.notKept += refused.count;
      refuseIncomplete(refused, result);
      return reply.code(204).send(null);
    });
  };
}

/** @throws MonitorError `invalid` where there is none, `too_large` for what would be too much unpacked */
function blockOf(body: unknown): Buffer {
  if (!Buffer.isBuffer(body))
    throw new MonitorError('invalid', 'there is no body; send a WriteRequest of remote write 1.0');
  const bytes = snappyLength(body);
  if (bytes <= longestBytes) return body;
  throw new MonitorError(
    'too_large',
    `the body has ${bytes} bytes unpacked, and at most ${longestBytes} are taken; send fewer samples at once (max_samples_per_send)`,
  );
}

function tooMuch(): MonitorError {
  return new MonitorError('unavailable', 'too much is being written at once; send again later', { retryAfterSeconds });
}

/** A message of 2.0 read as one of 1.0 looks empty. @throws MonitorError `unsupported` */
function checkVersion(headers: FastifyRequest['headers']): void {
  const version = String(headers['x-prometheus-remote-write-version'] ?? '0.1.0');
  const [, proto = 'prometheus.WriteRequest'] = /proto="?([\w.]+)/.exec(headers['content-type'] ?? '') ?? [];
  const encoding = headers['content-encoding'] ?? 'snappy';
  if (proto !== 'prometheus.WriteRequest' || !/^[01]\./.test(version))
    throw new MonitorError(
      'unsupported',
      `${proto} of remote write ${version} is not taken; send 1.0: protobuf_message: prometheus.WriteRequest`,
    );
  if (encoding !== 'snappy')
    throw new MonitorError('unsupported', `content-encoding '${encoding}' is not taken; send snappy`);
}

function explainForbidden(error: unknown): never {
  if (!(error instanceof MonitorError) || error.code !== 'forbidden') throw error;
  throw new MonitorError('forbidden', `${error.message}; in Prometheus that is: external_labels`, { cause: error });
}

/** What is not stored is said, since it does not come again. @throws MonitorError `invalid` */
function refuseIncomplete({ count, why }: RemoteWrite['refused'], result: ScrapedIngestResult): void {
  const lost = notStored(result);
  const missing = lost.reduce((sum, each) => sum + each.count, count);
  if (missing === 0) return;
  const reasons = [
    ...(count > 0 ? [`${count} cannot be kept: ${why}`] : []),
    ...lost.map((each) => `${each.count} are ${each.why}`),
  ];
  throw new MonitorError(
    'invalid',
    `${missing} samples are not stored, and the other ${result.stored} are: ${reasons.join('; ')}`,
  );
}
