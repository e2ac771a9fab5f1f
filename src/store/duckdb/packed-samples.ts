import type { MetricSample } from '../../core/sample.ts';
import { seriesKey } from '../../core/series.ts';
import type { LruCache } from '../../platform/lru-cache.ts';

/** A series whose id was not known as its samples were packed. */
export interface UnknownSeries extends Pick<MetricSample, 'kind' | 'owner'> {
  key: string;
  metric: string;
  host: string | undefined;
}

/**
 * Samples as the store's thread takes them: series as ids, numbers in blocks of memory that change hands without being
 * copied. To clone them as objects, with their labels, costs several times what it costs to store them.
 */
export interface PackedSamples {
  /** Which ids these are: after some were forgotten there are others. */
  epoch: number;
  /** One that is not known is -1 less its place in `unknown`. */
  ids: Int32Array<ArrayBuffer>;
  times: Float64Array<ArrayBuffer>;
  /** NaN where a series has ended. */
  values: Float64Array<ArrayBuffer>;
  unknown: readonly UnknownSeries[];
}

export function packSamples(
  samples: readonly MetricSample[],
  known: LruCache<string, number>,
  epoch: number,
): PackedSamples {
  const count = samples.length;
  const [ids, times, values] = [new Int32Array(count), new Float64Array(count), new Float64Array(count)];
  const unknown: UnknownSeries[] = [];
  const places = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const { series, time, value, kind, owner } = samples[i] as MetricSample;
    const key = seriesKey(series);
    let id = known.get(key) ?? places.get(key);
    if (id === undefined) {
      id = -unknown.push({ key, metric: series.metric, host: series.labels.host, kind, owner });
      places.set(key, id);
    }
    ids[i] = id;
    times[i] = time;
    values[i] = value === 'exited' ? Number.NaN : value;
  }
  return { epoch, ids, times, values, unknown };
}

/** About what it takes while it waits. */
export function packedBytes({ ids, unknown }: PackedSamples): number {
  return ids.length * 20 + unknown.reduce((sum, { key, owner }) => sum + 100 + 2 * (key.length + owner.length), 0);
}
