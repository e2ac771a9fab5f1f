import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { DiskUse } from '../../core/store.ts';
import { type DiskAnswer, diskSchema } from '../../wire/disk.ts';
import type { AppParts } from '../app-parts.ts';
import { iso } from '../window.ts';

const getDisk = {
  schema: { tags: ['store'], summary: 'What the embedded store takes on disk', response: { 200: diskSchema } },
};

const dayMs = 86_400_000;
const tierOf = { usage: 'rows', minute: '1m', hour: '1h', bucket: 'percentiles' } as const;

/** What is kept, and what it costs. */
export function diskRoutes({ store, hosts }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/v1/store/disk', getDisk, async (): Promise<DiskAnswer> => {
      const use = await store.disk();
      const count = (await hosts.now()).length;
      if (use === null)
        return { bytes: null, mostBytes: null, usedBytes: null, databaseBytes: null, hosts: count, kept: [] };
      const { databaseBytes, usedBytes, mostBytes, closed } = use;
      const bytes = closed.reduce((sum, each) => sum + each.bytes, databaseBytes);
      return { bytes, mostBytes, usedBytes, databaseBytes, hosts: count, kept: closed.map(toKept) };
    });
  };
}

function toKept({ family, files, rows, bytes, since, until }: DiskUse['closed'][number]): DiskAnswer['kept'][number] {
  const bytesPerDay = (bytes / (until - since)) * dayMs;
  return { tier: tierOf[family], files, rows, bytes, from: iso(since), to: iso(until), bytesPerDay };
}
