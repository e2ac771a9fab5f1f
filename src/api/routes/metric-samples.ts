import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { seriesOwner } from '../../access/write-rights.ts';
import type { Series } from '../../core/series.ts';
import { toSamples } from '../../wire/metric-codec.ts';
import { metricsBodySchema, metricsTakenSchema } from '../../wire/metric-sample.ts';
import type { AppParts } from '../app-parts.ts';

const putMetrics = {
  schema: {
    tags: ['usage'],
    summary: 'Store samples of any metric: one, or an array of up to 5,000',
    description:
      '204 once they are stored durably. The same series and time again: 204, stored once. 200 where some were not stored: older than the retention, or of more new series than their host or source may bring along in a day. 425 for one that is more than a day ahead. A write token of a host may only send series whose label host is that host, one of a source those whose label source is that. gzip is accepted. At most 1 MiB, decoded.',
    body: metricsBodySchema,
    response: { 200: metricsTakenSchema, 204: Type.Null({ description: 'All are stored.' }) },
  },
};

/** PUT samples of any metric with any labels. */
export function metricSampleRoutes({ clock, ingest }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.put('/v1/metrics', putMetrics, async ({ body, token }, reply) => {
      const ownerOf = (series: Series) => seriesOwner(series, token);
      const samples = toSamples(Array.isArray(body) ? body : [body], clock.now(), ownerOf);
      const taken = await ingest.writeSamples(samples, token);
      return taken.stored < samples.length ? taken : reply.code(204).send(null);
    });
  };
}
