import { DuckDBInstance } from '@duckdb/node-api';
import { seriesKey } from '../src/core/series.ts';
import { decodeName } from '../src/store/influxdb/name-codec.ts';
import { MatrixStream } from '../src/wire/matrix-stream.ts';
import { getJson } from './e2e/program.ts';
import type { Prometheus } from './prometheus.ts';

/** Samples by series and time: what two parties have of the same. */
export type Samples = Map<string, Map<number, number>>;

/** With how many rows that are. */
export interface Stored {
  samples: Samples;
  rows: number;
}

/** What Prometheus has, each series as it is called here; what is no number is left out. */
export async function samplesOfPrometheus(
  { url }: Prometheus,
  selector: string,
  more: Readonly<Record<string, string>>,
): Promise<Samples> {
  const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(`${selector}[30m]`)}`);
  const samples: Samples = new Map();
  for (const { metric, values = [] } of new MatrixStream().push(Buffer.from(await answer.arrayBuffer()))) {
    const { __name__: name = '', ...labels } = metric;
    const known = values.map(([time, value]) => [Math.round(time * 1000), Number(value)] as const);
    const finite = known.filter(([, value]) => Number.isFinite(value));
    if (finite.length > 0) samples.set(seriesKey({ metric: name, labels: { ...labels, ...more } }), new Map(finite));
  }
  return samples;
}

/** What lies in the database of a data folder, whose server has stopped. */
export async function samplesOfDuckdb(path: string): Promise<Stored> {
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  const sql =
    'SELECT text, time::DOUBLE, value FROM sample JOIN series ON series.id = sample.series WHERE NOT isnan(value)';
  const rows = (await connection.runAndReadAll(sql)).getRows() as [string, number, number][];
  connection.closeSync();
  instance.closeSync();
  return { samples: toSamples(rows), rows: rows.length };
}

export async function samplesOfInfluxdb(url: string, db: string): Promise<Stored> {
  const query = new URLSearchParams({ db, epoch: 'ms', q: 'SELECT "value" FROM "metric" GROUP BY "series"' });
  const { results } = await getJson<{
    results: { series?: { tags: { series: string }; values: [number, number | null][] }[] }[];
  }>(`${url}/query?${query}`);
  const rows = (results[0]?.series ?? []).flatMap(({ tags, values }) =>
    values.flatMap(([time, value]): [string, number, number][] =>
      value === null ? [] : [[decodeName(tags.series), time, value]],
    ),
  );
  return { samples: toSamples(rows), rows: rows.length };
}

function toSamples(rows: readonly [string, number, number][]): Samples {
  const samples: Samples = new Map();
  for (const [key, time, value] of rows) {
    const values = samples.get(key) ?? new Map();
    samples.set(key, values.set(time, value));
  }
  return samples;
}

/** What the first has and the second has not, or has otherwise: `key time value`. */
export function missing(from: Samples, of: Samples): string[] {
  return [...from].flatMap(([key, values]) =>
    [...values]
      .filter(([time, value]) => of.get(key)?.get(time) !== value)
      .map(([time, value]) => `${key} ${time} ${value}`),
  );
}

export function countOf(samples: Samples): number {
  return [...samples.values()].reduce((sum, values) => sum + values.size, 0);
}
