import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bucketOf, sketchError, valueOfBucket } from '../../src/core/bucket.ts';
import { meanColumnIds } from '../../src/core/metric.ts';
import { parseSelector } from '../../src/core/selector.ts';
import { type Statistics, statisticsOf } from '../../src/core/statistics.ts';
import type { MeanQuery, MeanRow, Store } from '../../src/core/store.ts';
import { ValueSummary } from '../../src/core/value-summary.ts';
import { MeanSums } from '../../src/store/influxdb/mean-sums.ts';
import {
  markOf,
  type Rollup,
  summariesOf,
  sumsOf,
  toRollupPoints,
  wholeRollups,
} from '../../src/store/influxdb/rollup-points.ts';
import { openMemoryStore } from '../../src/store/memory.ts';
import { openStore } from '../../src/store/open.ts';
import { hasInfluxd, type Influxd, startInfluxd } from '../influxd.ts';
import { makeSnapshot } from '../make-snapshot.ts';

const [hour, minute] = [3_600_000, 60_000];

describe('a roll-up as points', () => {
  /** As InfluxDB gives them back. */
  const rowsOf = (rollup: Rollup) =>
    toRollupPoints(rollup).map((point) => {
      const { tags, fields, time } = point as unknown as {
        tags: Record<string, string>;
        fields: Record<string, string>;
        time: number;
      };
      const values = Object.entries(fields).map(([name, text]) => [
        name,
        text.startsWith('"')
          ? text.slice(1, -1).replaceAll('\\"', '"').replaceAll('\\\\', '\\')
          : Number.parseInt(text, 10),
      ]);
      return { ...tags, time, ...Object.fromEntries(values) };
    });
  const summaryOf = (...values: number[]) => {
    const summary = new ValueSummary();
    for (const value of values) summary.add(value);
    return summary;
  };
  /** Of three snapshots, in two of which it has a value. */
  const sumsOfCpu = (...values: number[]) => {
    const sums = new MeanSums();
    sums.snapshots = 3;
    for (const value of values) for (const column of meanColumnIds.keys()) sums.add(column, 1, value);
    return sums;
  };
  const rollupOf = (names: readonly string[], snapshots = 60): Rollup => ({
    host: 'h',
    length: '10m',
    time: 0,
    snapshots,
    columns: new Map([
      ['cpu', new Map(names.map((name, index) => [name, summaryOf(index, 0.5, 1_000_000)]))],
      ['memory', new Map(names.slice(1).map((name) => [name, summaryOf(3, 3, 3)]))],
    ]),
    sums: new Map(names.map((name, index) => [name, sumsOfCpu(index, 0.1)])),
  });
  const hostile = ['quote"\\', 'new\nline', '\u202e\ud800', 'n'.repeat(1000)];

  test('says what was put into it, whatever the names, and a process without a value is not there', () => {
    const rows = rowsOf(rollupOf(hostile));
    const cpu = new Map(rows.flatMap((row) => [...summariesOf(row, 'cpu')]));
    expect([...cpu.keys()]).toEqual(hostile);
    expect(cpu.get('new\nline')?.statistics({})).toEqual(summaryOf(1, 0.5, 1_000_000).statistics({}));
    expect(rows.flatMap((row) => [...summariesOf(row, 'memory')]).map(([name]) => name)).toEqual(hostile.slice(1));
    const about = { host: 'h', length: '10m', time: 0, snapshots: 60, series: 4, hasSums: true };
    expect(wholeRollups(rows).map(markOf)).toEqual([about]);
    const sums = new Map(rows.flatMap((row) => [...sumsOf(row)]));
    expect([...sums.keys()]).toEqual(hostile);
    expect(sums.get('new\nline')).toMatchObject({ snapshots: 3 });
    expect(sums.get('new\nline')?.means()).toMatchObject({ cpu: 0.55, cpuMax: 1, threads: 0.55 });
  });

  test('of fewer snapshots than the rest, sums are not those of it', () => {
    const [row] = rowsOf(rollupOf(['a']));
    const { sums: _, ...without } = rollupOf(['a'], 61);
    const anew = { ...row, ...rowsOf({ ...without, sums: null })[0] };
    expect(wholeRollups([anew]).map(markOf)).toMatchObject([{ snapshots: 61, hasSums: false }]);
  });

  test('is in parts that InfluxDB takes, and whole only with all of them', () => {
    const names = Array.from({ length: 300 }, (_, index) => `${index}`.padEnd(1000, '\u00e9'));
    const rows = rowsOf(rollupOf(names));
    expect(rows.length).toBeGreaterThan(10);
    for (const row of rows)
      for (const text of Object.values(row)) expect(Buffer.byteLength(String(text))).toBeLessThan(65_536);
    expect(wholeRollups(rows).map(markOf)).toMatchObject([{ series: 300 }]);
    expect(wholeRollups(rows.slice(0, -1))).toEqual([]);
    expect(wholeRollups(rows.slice(1))).toEqual([]);
  });

  test('parts of an earlier writing that had more of them are none of it', () => {
    const names = Array.from({ length: 300 }, (_, index) => `${index}`.padEnd(1000));
    const before = rowsOf(rollupOf(names));
    const after = rowsOf(rollupOf(names.slice(0, 50), 61));
    const stored = [...after, ...before.slice(after.length)];
    expect(wholeRollups(stored).map(markOf)).toMatchObject([{ snapshots: 61, series: 50 }]);
  });

  test('a bucket tells its values as well as it says', () => {
    for (let value = 1; value < 1e9; value = Math.ceil(value * 1.003))
      expect(Math.abs(valueOfBucket(bucketOf(value)) / value - 1)).toBeLessThanOrEqual(sketchError + 1e-9);
    expect(valueOfBucket(bucketOf(0))).toBe(0);
  });
});

describe.skipIf(!hasInfluxd())('statistics and means of roll-ups in a real InfluxDB', () => {
  const names = Array.from({ length: 150 }, (_, index) => (index === 0 ? `o'dd "name"\\\n` : `service-${index}`));
  const hosts = Array.from({ length: 8 }, (_, index) => `host-${index}`);
  const end = Math.floor(Date.now() / hour) * hour - hour;
  const values = new Map<string, number[]>();
  let influxd: Influxd;
  let store: Store;
  /** The same rows, and nothing else. */
  let oracle: Store;
  const open = () =>
    openStore(`${influxd.url.replace('http:', 'influxdb:')}/rolled`, { retentionMs: 48 * hour, warn: () => undefined });

  const snapshotAt = (host: string, time: number) => {
    const k = time / 10_000 + hosts.indexOf(host);
    const processes = names.map((name, n) => ({
      name,
      cpu: (k + n) % 13 === 0 ? null : n % 3 === 0 ? 0 : ((k * (n + 3)) % 977) / 10,
      memory: n,
      count: 1 + (n % 2),
      threads: (k + n) % 4 === 0 ? null : n,
    }));
    for (const { name, cpu } of processes) {
      const own = values.get(`${host} ${name}`) ?? [];
      if (cpu !== null) own.push(cpu);
      values.set(`${host} ${name}`, own);
    }
    return makeSnapshot({ host, time, processes });
  };
  const put = async (from: number, to: number, some = hosts) => {
    for (let time = from + 10_000; time <= to; time += 10_000) {
      const records = { snapshots: some.map((host) => snapshotAt(host, time)) };
      await Promise.all([store.append(records), oracle.append(records)]);
    }
  };
  const expectSameMeans = async (query: MeanQuery) => {
    const [told, plain] = [await store.means(query), await oracle.means(query)];
    expect(told).toHaveLength(plain.length);
    const byName = new Map(told.map((row) => [row.name, row]));
    for (const row of plain)
      for (const [field, value] of Object.entries(row)) {
        const own = byName.get(row.name)?.[field as keyof MeanRow];
        if (typeof value === 'number') expect(own).toBeCloseTo(value, 9);
        else expect(own).toBe(value);
      }
  };
  const ask = async (selector = 'process_cpu', window = { from: end - hour, to: end }, by?: string[]) => {
    const answer = await store.statistics({ ...window, selector: parseSelector(selector), ...(by && { by }) });
    return { ...answer, found: new Map(answer.statistics.map((each) => [Object.values(each.labels).join(' '), each])) };
  };
  /** Against the values themselves, as anybody would write it down. */
  const expectSame = (told: Statistics | undefined, own: readonly number[]) => {
    const plain = statisticsOf({}, own);
    expect(told).toMatchObject({ count: plain.count, min: plain.min, max: plain.max });
    expect(told?.mean).toBeCloseTo(plain.mean, 9);
    expect(told?.deviation).toBeCloseTo(plain.deviation, 8);
    const sorted = own.toSorted((a, b) => a - b);
    for (const [name, share] of [
      ['p50', 0.5],
      ['p95', 0.95],
      ['p99', 0.99],
    ] as const) {
      const ranked = sorted[Math.floor(share * (sorted.length - 1))] as number;
      expect(Math.abs((told?.percentiles?.[name] ?? Number.NaN) - ranked)).toBeLessThanOrEqual(
        ranked * sketchError + 1e-9,
      );
    }
  };
  const expectAllSame = async () => {
    const { found, percentileError, told } = await ask();
    expect(told).toEqual({ from: end - hour, to: end, resolution: '1h' });
    expect(percentileError).toBeCloseTo(0.0099, 4);
    expect(found.size).toBe(values.size);
    for (const [key, own] of values) expectSame(found.get(key), own);
  };

  beforeAll(async () => {
    influxd = await startInfluxd();
    store = await open();
    oracle = await openMemoryStore({ retentionMs: 48 * hour, warn: () => undefined });
    // Two minutes of one host are late.
    await put(end - hour, end, hosts.slice(1));
    await put(end - hour, end - 30 * minute, hosts.slice(0, 1));
    await put(end - 28 * minute, end, hosts.slice(0, 1));
  }, 120_000);
  afterAll(async () => {
    await store?.close();
    await influxd?.close();
  });

  test('are refused until there are some, and then told of whole hours', async () => {
    await expect(ask()).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(/more than 1000 series/),
    });
    await store.compact(Date.now());
    await expectAllSame();
    await expectSameMeans({ from: end - hour, to: end });
  }, 120_000);

  test('what comes late is in them at once, and rolled up again, also by another that begins anew', async () => {
    await put(end - 30 * minute, end - 28 * minute, hosts.slice(0, 1));
    const { found, told } = await ask();
    expect(told).toEqual({ from: end - hour, to: end, resolution: '1h' });
    for (const [key, own] of values) expectSame(found.get(key), own);
    await expectSameMeans({ from: end - hour, to: end });
    await store.close();
    store = await open();
    const other = await open();
    await Promise.all([store.compact(Date.now()), other.compact(Date.now())]);
    await other.close();
    await expectAllSame();
  }, 120_000);

  test('are of series taken together, and of few by the samples themselves', async () => {
    const { found } = await ask('process_cpu{process!~"service-1.*"}', undefined, ['process']);
    const own = [...values].filter(([key]) => key.endsWith(' service-2')).flatMap(([, each]) => each);
    expectSame(found.get('service-2'), own);
    expect(found.has('service-1')).toBe(false);
    const some = await ask('process_cpu{host=~"host-[01]"}');
    expect(some).toMatchObject({ percentileError: 0 });
    expect(some.told).toBeUndefined();
    expect(some.found.size).toBe(2 * names.length);
    expect((await ask('process_cpu{process="service-7"}')).percentileError).toBe(0);
    await expect(
      store.statistics({ from: end - hour, to: end, selector: parseSelector('process_cpu'), isExact: true }),
    ).rejects.toMatchObject({ code: 'invalid' });
  }, 120_000);

  test('a window that cuts ten minutes says what it tells of', async () => {
    const { told, found } = await ask('process_memory', { from: end - 57 * minute, to: end + 9 * minute });
    expect(told).toEqual({ from: end - hour, to: end, resolution: '1h' });
    expect(found.get('host-3 service-9')).toMatchObject({ count: 360, min: 9, max: 9, mean: 9, deviation: 0 });
    const shorter = await ask('process_memory', { from: end - 47 * minute, to: end - 1 });
    expect(shorter.told).toEqual({ from: end - 50 * minute, to: end - 10 * minute, resolution: '10m' });
    expect(shorter.found.get('host-3 service-9')).toMatchObject({ count: 240 });
  }, 120_000);

  test('a second rolling writes nothing, and a clock that is off by days does no harm', async () => {
    const count = async () => {
      const q = 'SELECT COUNT("snapshots") FROM "process_rollup"';
      return (await fetch(`${influxd.url}/query?db=rolled&q=${encodeURIComponent(q)}`)).text();
    };
    const before = await count();
    await store.compact(Date.now());
    await store.compact(Date.now() + 30 * 24 * hour);
    await store.compact(Date.now() - 30 * 24 * hour);
    expect(await count()).toBe(before);
    await expectAllSame();
  }, 120_000);

  test('means of any window and any hosts are those of the rows, and of a whole hour told without them', async () => {
    const windows = [
      { from: end - hour, to: end },
      { from: end - 57 * minute - 1, to: end + 9 * minute },
      { from: end - 47 * minute, to: end - 1 },
      { from: end - 31 * minute, to: end - 5001 },
    ];
    for (const window of windows)
      for (const some of [{}, { hosts: ['host-2', 'host-5', 'nobody'] }, { hosts: hosts.slice(1), top: 7 }])
        await expectSameMeans({ ...window, ...some });
    await expectSameMeans({ from: end - hour, to: end, process: 'service-4' });
    const q = 'DROP MEASUREMENT "process"';
    const dropped = await fetch(`${influxd.url}/query?db=rolled&q=${encodeURIComponent(q)}`, { method: 'POST' });
    expect(await dropped.text()).not.toContain('error');
    expect((await store.page({ from: end - hour, to: end, limit: 1, skip: 0 })).name).toHaveLength(0);
    await expectSameMeans({ from: end - hour, to: end });
  }, 120_000);
});
