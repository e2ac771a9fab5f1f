import { snappyCompress } from 'hysnappy';
import type { MetricSample } from '../src/core/sample.ts';
import { seriesKey } from '../src/core/series.ts';
import type { Records } from '../src/core/store.ts';
import { overStore } from '../test/over-store.ts';
import { remoteWriteHeaders, type SentSeries, writeRequest } from '../test/write-request.ts';
import { buildServer } from './in-process-server.ts';
import { settledRss } from './measure.ts';
import { seededRandom } from './random.ts';
import { type Scenario, scaled } from './scenario.ts';
import { openQuietly } from './stored-times.ts';

const MiB = 1024 * 1024;
const warmUp = 5000;
const hostile = [
  '',
  '\u0000',
  '\u001b[31m',
  '\u202e',
  "'; DROP TABLE sample; --",
  '"} or vector(1)',
  '\ud83d\ude00',
  '__proto__',
  'constructor',
  '__name__',
  'a\nb',
  '\\',
  'x'.repeat(5000),
  'le',
  'source',
  'host',
  '%{x}',
  '{}',
];

/** Bodies of remote write that were made badly, mutated before and after they were packed, cut off, or are bombs. */
export const remoteWriteBodies: Scenario = {
  name: 'remote-write-bodies',
  behaviour: 'no body of remote write makes the server fail, grow, or store half of it',
  async run(scale) {
    const random = seededRandom(23);
    const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)] as T;
    const count = scaled(100_000, scale);
    // It keeps nothing but whether what it was given is whole.
    const kept = { last: [] as readonly MetricSample[], broken: 0 };
    const append = async ({ samples = [] }: Records) => {
      kept.last = samples;
      for (const sample of samples) if (!isWhole(sample)) kept.broken++;
      return { refused: [], beyondBudget: [] };
    };
    const app = await buildServer(overStore(await openQuietly('memory:'), { append }));
    await app.ready();
    const statuses = new Map<number, number>();
    let halfStored = 0;
    let slowestMs = 0;
    const send = async () => {
      const payload = hostileBlock(random, pick);
      const headers = { ...remoteWriteHeaders, ...pick(versions) };
      kept.last = [];
      const begin = performance.now();
      const answer = await app.inject({ method: 'POST', url: '/v1/prometheus/write', headers, payload });
      slowestMs = Math.max(slowestMs, performance.now() - begin);
      const saidSome = answer.statusCode === 400 && /are not stored, and the other/.test(answer.body);
      if (answer.statusCode !== 204 && !saidSome && kept.last.length > 0) halfStored++;
      statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
    };
    for (let i = 0; i < warmUp; i++) await send();
    statuses.clear();
    const before = await settledRss();
    for (let i = 0; i < count; i++) await send();
    const growth = (await settledRss()) - before;
    await app.close();
    const errors = [...statuses].reduce((sum, [status, times]) => sum + (status >= 500 ? times : 0), 0);
    const figures = [...statuses].sort().map(([status, times]) => `${times} x ${status}`);
    return [
      {
        promise: 'no body of remote write makes the server fail, grow, or store half of it',
        figure: `${count} bodies: ${figures.join(', ')}; ${halfStored} of those refused had something stored, ${kept.broken} samples were broken, the slowest took ${slowestMs.toFixed(0)} ms; RSS ${growth >= 0 ? '+' : ''}${(growth / MiB).toFixed(1)} MiB`,
        holds: errors === 0 && halfStored === 0 && kept.broken === 0 && slowestMs < 2000 && growth <= 40 * MiB,
      },
    ];
  },
};

const versions: Record<string, string>[] = [
  ...Array.from({ length: 30 }, () => ({})),
  { 'x-prometheus-remote-write-version': '2.0.0' },
  { 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' },
  { 'content-encoding': 'gzip' },
];

function isWhole({ series, value, time, kind }: MetricSample): boolean {
  const isValue = value === 'exited' || Number.isFinite(value);
  return (
    isValue && Number.isSafeInteger(time) && series.metric !== '' && seriesKey(series).length > 2 && kind.length > 0
  );
}

type Pick = <T>(items: readonly T[]) => T;

function hostileBlock(random: () => number, pick: Pick): Buffer {
  const kind = random();
  // It says that it is larger than anything, or than it is.
  if (kind < 0.02) return Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1]);
  if (kind < 0.03) return Buffer.from([0x80, 0x80, 0x80, 0x04, 0xfe, 0xff, 0xff, 0, 1]);
  const plain = mutated(
    Buffer.from(writeRequest(Array.from({ length: Math.floor(random() * 6) }, () => madeSeries(random, pick)))),
    random,
    random() < 0.5 ? 3 : 0,
  );
  if (kind < 0.06) return plain;
  const block = Buffer.from(
    snappyCompress(kind < 0.07 ? Buffer.alloc(4 * MiB, plain.length > 0 ? plain : 'x') : plain),
  );
  return mutated(block, random, random() < 0.4 ? 4 : 0);
}

function madeSeries(random: () => number, pick: Pick): SentSeries {
  const name = (): string => (random() < 0.7 ? `label_${Math.floor(random() * 50)}` : pick(hostile));
  const value = () =>
    random() < 0.1
      ? Buffer.from([0xc3, 0x28, 0xff])
      : random() < 0.6
        ? `v${Math.floor(random() * 100)}`
        : pick(hostile);
  const labels = Array.from({ length: Math.floor(random() * 8) }, () => [name(), value()] as const);
  const metric = [
    random() < 0.95 ? '__name__' : name(),
    random() < 0.9 ? `made_${Math.floor(random() * 200)}` : pick(hostile),
  ] as const;
  const figure = () => pick([1, -1, 0, 1e308, Number.NaN, Number.POSITIVE_INFINITY, 'stale' as const, random()]);
  const time = () => pick([Date.now(), Date.now() - 1000, 0, 1e15, -1, Date.now() + 3 * 86_400_000]);
  const samples = Array.from({ length: Math.floor(random() * 4) }, () => [figure(), time()] as const);
  return {
    labels: [metric, ...labels],
    samples,
    exemplars: Math.floor(random() * 2),
    histograms: Math.floor(random() * 2),
  };
}

function mutated(bytes: Buffer, random: () => number, most: number): Buffer {
  if (bytes.length === 0) return bytes;
  for (let i = 0; i < Math.floor(random() * (most + 1)); i++)
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  return random() < 0.1 * Math.min(1, most) ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
}
