import { setImmediate } from 'node:timers/promises';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { TokenRecord } from '../../access/token.ts';
import { MonitorError } from '../../core/error.ts';
import { prometheusOwner } from '../../core/sample.ts';
import type { ScrapedIngestResult } from '../../ingest/ingest.ts';
import { LruCache } from '../../platform/lru-cache.ts';
import { type RemoteWrite, RemoteWriteReader, type SeriesCache } from '../../wire/remote-write.ts';
import { snappyLength, unpackSnappy } from '../../wire/snappy.ts';
import type { AppParts } from '../app-parts.ts';
import { NewSeriesTurns } from '../new-series-turns.ts';

/** Of one body, packed and unpacked: Prometheus sends some 100 KB, others up to 8 MiB. */
const longestBytes = 8 * 1024 * 1024;
/** Of all bodies that are unpacked and not stored yet. */
const mostUnpackedBytes = 2 * longestBytes;
const mostRemembered = 50_000;
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

  async function taken(block: Buffer, token: TokenRecord | null): Promise<void> {
    const owner = prometheusOwner(token?.source ?? token?.host ?? null);
    const reader = new RemoteWriteReader(unpackSnappy(block), known, owner);
    let end = clock.monotonic() + turnMs;
    while (reader.read(() => clock.monotonic() >= end)) {
      await setImmediate();
      end = clock.monotonic() + turnMs;
    }
    const { samples, refused, leftOut, unknown } = reader.found;
    const write = () => ingest.writeScraped(samples, token).catch(explainForbidden);
    const result = unknown > 0 ? await turns.take(write) : await write();
    ingest.counts.histograms += leftOut.histograms;
    ingest.counts.exemplars += leftOut.exemplars;
    ingest.counts.notNumbers += leftOut.notNumbers;
    ingest.counts.notKept += refused.count;
    refuseIncomplete(refused, result);
  }

  return async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      'application/x-protobuf',
      { parseAs: 'buffer' },
      async (_: FastifyRequest, body: Buffer) => body,
    );
    app.post('/v1/prometheus/write', postRemoteWrite, async ({ body, headers, token }, reply) => {
      checkVersion(headers);
      const block = body as Buffer;
      const bytes = snappyLength(block);
      if (bytes > longestBytes)
        throw new MonitorError(
          'too_large',
          `the body has ${bytes} bytes unpacked, and at most ${longestBytes} are taken; send fewer samples at once (max_samples_per_send)`,
        );
      if (unpackedBytes + bytes > mostUnpackedBytes && unpackedBytes > 0)
        throw new MonitorError('unavailable', 'too much is being written at once; send again later', {
          retryAfterSeconds,
        });
      unpackedBytes += bytes;
      try {
        await taken(block, token);
      } finally {
        unpackedBytes -= bytes;
      }
      return reply.code(204).send(null);
    });
  };
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
function refuseIncomplete(
  { count, why }: RemoteWrite['refused'],
  { expired, early, beyondBudget, stored }: ScrapedIngestResult,
): void {
  const missing = count + expired + early + beyondBudget;
  if (missing === 0) return;
  const reasons = [
    count > 0 && `${count} cannot be kept: ${why}`,
    beyondBudget > 0 && `${beyondBudget} are of new series, beyond what may be brought along in a day (--new-series)`,
    expired > 0 && `${expired} are older than what is kept (--retention)`,
    early > 0 && `${early} are more than a day ahead of this server's clock`,
  ].filter((reason) => reason !== false);
  throw new MonitorError(
    'invalid',
    `${missing} samples are not stored, and the other ${stored} are: ${reasons.join('; ')}`,
  );
}
