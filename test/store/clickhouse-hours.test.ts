import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sketchError } from '../../src/core/bucket.ts';
import { parseSelector } from '../../src/core/selector.ts';
import type { Statistics } from '../../src/core/statistics.ts';
import type { MeanRow, Selected, Store } from '../../src/core/store.ts';
import { openMemoryStore } from '../../src/store/memory.ts';
import { openStore } from '../../src/store/open.ts';
import {
  type ClickHouseServer,
  chdbFolder,
  hasClickHouse,
  startClickHouse,
  startTodaysClickHouse,
} from '../clickhouse-server.ts';
import { makeSnapshot } from '../make-snapshot.ts';

const [hour, minute, day] = [3_600_000, 60_000, 86_400_000];
const hosts = ['web-1', 'web-2', "o'dd \\host"];
const names = Array.from({ length: 40 }, (_, n) => (n === 0 ? `o'dd "name"\\\n` : `service-${n}`));
/** Of the day that rows are forgotten before. */
const midnight = Math.floor(Date.now() / day) * day - day;
const [begin, end] = [midnight - 3 * hour, midnight + 4 * hour];
const all = { from: begin - 1, to: end - 1 };
const quantiles = ['p50', 'p95', 'p99'] as const;

function snapshotAt(host: string, time: number) {
  const k = Math.floor(time / minute) + hosts.indexOf(host);
  return makeSnapshot({
    host,
    time,
    processes: names.map((name, n) => ({
      name,
      cpu: (k + n) % 13 === 0 ? null : n % 3 === 0 ? 0 : ((k * (n + 3)) % 977) / 10,
      // Large, and close together.
      memory: 900_000 + ((k * n) % 7) / 1000,
      rssBytes: n === 7 ? Number.MAX_SAFE_INTEGER : k % 1e6,
      count: 1 + (n % 2),
      threads: (k + n) % 4 === 0 || n === 5 ? null : n,
    })),
  });
}

const servers = [
  { name: 'a real ClickHouse', isThere: hasClickHouse(), start: startClickHouse },
  { name: "today's engine", isThere: chdbFolder !== undefined, start: startTodaysClickHouse },
];

describe.each(servers.filter(({ isThere }) => isThere))('hours that are rolled up by $name', ({ start }) => {
  let server: ClickHouseServer;
  let store: Store;
  /** The same rows, and nothing else. */
  let oracle: Store;
  const open = (database = 'hours') =>
    openStore(`${server.url.replace('http:', 'clickhouse:')}/${database}`, {
      retentionMs: 2 * day,
      now: () => midnight + hour + 2 * day,
      warn: () => undefined,
      clickhouse: { insertEveryMs: 0 },
    });
  const ask = async (sql: string) => {
    const answer = await fetch(server.url, { method: 'POST', body: sql });
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.text()).trim();
  };
  const both = async (snapshots: ReturnType<typeof snapshotAt>[]) => {
    for (const each of [store, oracle]) await each.append({ snapshots });
  };

  beforeAll(async () => {
    server = await start();
    store = await open();
    oracle = await openMemoryStore({ retentionMs: 400 * day, warn: () => undefined });
    for (let time = begin; time < end; time += hour) {
      const times = Array.from({ length: 60 }, (_, k) => time + k * minute);
      await both(hosts.flatMap((host) => times.map((each) => snapshotAt(host, each))));
    }
  });
  afterAll(async () => {
    await store?.close();
    await server?.close();
  });

  const windows = [
    all,
    { from: begin + 25 * minute, to: end - 7 * minute },
    { from: midnight - hour - 1, to: midnight + hour - 1 },
    { from: midnight - 70 * minute, to: midnight + 1 },
  ];
  const toldAlike = async (window: { from: number; to: number }) => {
    for (const filter of [{}, { hosts: ['web-2', "o'dd \\host"] }, { process: names[0] as string }]) {
      const byName = (rows: MeanRow[]) => new Map(rows.map((row) => [row.name, row]));
      const [told, wanted] = [
        byName(await store.means({ ...window, ...filter })),
        byName(await oracle.means({ ...window, ...filter })),
      ];
      expect([...told.keys()].sort()).toEqual([...wanted.keys()].sort());
      for (const [name, row] of wanted) alike(told.get(name), row);
    }
    for (const [metric, stepMs, aggregate] of [
      ['process_cpu', hour, 'mean'],
      ['process_cpu', 2 * hour, 'max'],
      ['process_threads', hour, 'min'],
      ['process_threads', 2 * hour, 'mean'],
      ['process_rss_bytes', hour, 'mean'],
    ] as const) {
      const series = parseSelector(`${metric}{process=~"service-[5-9]|o.dd.*"}`);
      const query = { ...window, series, stepMs, aggregate };
      alike(await stepsOf(store, query), await stepsOf(oracle, query));
    }
  };
  const statisticsOf = async (of: Store, metric: string, by: string[] | undefined, isExact = false) => {
    const selector = parseSelector(`${metric}{host!="web-1"}`);
    const answer = await of.statistics({ ...all, selector, isExact, ...(by && { by }) });
    const key = ({ labels }: Statistics) => JSON.stringify(Object.entries(labels).sort());
    return { ...answer, groups: new Map(answer.statistics.map((each) => [key(each), each])) };
  };

  test('tell what the rows tell', async () => {
    expect(await store.resolution(all)).toBe('raw');
    await store.compact(end + 5 * minute);
    expect(await ask('SELECT count() FROM hours.process_hour')).toBe(String(7 * hosts.length * names.length));
    expect([
      await store.resolution(all),
      await store.resolution(all, 2 * hour),
      await store.resolution(all, minute),
    ]).toEqual(['1h', '1h', 'raw']);
    for (const window of windows) await toldAlike(window);
  });

  test('what comes late, or again, is in the next answer, and rolled up by the next run', async () => {
    await both([snapshotAt('web-1', midnight + 90 * minute + 17), snapshotAt('web-2', midnight - 30 * minute + 17)]);
    await toldAlike(all);
    await store.append({ snapshots: [snapshotAt('web-1', midnight + 90 * minute)] });
    await store.close();
    store = await open();
    const beside = await open();
    await Promise.all([store.compact(end + 5 * minute), beside.compact(end + 5 * minute)]);
    await beside.close();
    await toldAlike(all);
    await ask('OPTIMIZE TABLE hours.process_hour FINAL');
    const marks = await ask('SELECT count() FROM hours.rolled_hour');
    await store.compact(end + 2 * hour);
    expect(await ask('SELECT count() FROM hours.rolled_hour')).toBe(marks);
    await toldAlike(windows[1] as (typeof windows)[number]);
    expect(await store.resolution({ from: midnight + hour - 1, to: midnight + 2 * hour - 1 })).toBe('1h');
  });

  test('that are lost are rolled up again', async () => {
    await ask('TRUNCATE TABLE hours.process_hour');
    const told = { from: midnight + 2 * hour - 1, to: midnight + 3 * hour - 1 };
    expect(await store.resolution(told)).toBe('raw');
    await store.compact(end + 3 * hour);
    expect(await store.resolution(told)).toBe('1h');
    await toldAlike(all);
  });

  test('a part of the window without a value of what is asked for says nothing', async () => {
    const own = await open('middle');
    const memory = await openMemoryStore({ retentionMs: 400 * day, warn: () => undefined });
    const processes = (k: number) => [
      { name: 'always', cpu: k },
      ...(k >= 60 && k < 120 ? [{ name: 'backup', cpu: 50 + (k % 7) }] : []),
    ];
    const minutes = Array.from({ length: 180 }, (_, k) => ({ time: midnight + k * minute, processes: processes(k) }));
    for (const each of [own, memory]) await each.append({ snapshots: minutes.map((given) => makeSnapshot(given)) });
    await own.compact(midnight + 4 * hour);
    const selector = parseSelector('process_cpu{process="backup"}');
    const query = { from: midnight + 25 * minute, to: midnight + 155 * minute, selector, isExact: false };
    expect(await own.resolution(query)).toBe('1h');
    for (const by of [[], ['process'], ['job']]) {
      const [told, wanted] = [await own.statistics({ ...query, by }), await memory.statistics({ ...query, by })];
      alike(told.statistics, wanted.statistics);
      expect(told.statistics[0]).toMatchObject({ min: 50, max: 56, count: 60 });
    }
    await own.close();
  });

  test('a replica that has not all rows of its snapshots is not taken at its word', async () => {
    const window = { from: midnight + hour - 1, to: midnight + 2 * hour - 1 };
    await ask(`INSERT INTO hours.snapshot (host, time, placed, is_from_future, interval_ms, limited_by, process_rows)
      VALUES ('web-1', ${midnight + 91 * minute + 3}, 0, 0, 10000, 'host', 40)`);
    await store.compact(end + 4 * hour);
    expect(await store.resolution(window)).toBe('raw');
    await toldAlike(window);
    await both([snapshotAt('web-1', midnight + 91 * minute + 3)]);
    await store.compact(end + 6 * hour);
    await ask('OPTIMIZE TABLE hours.process_hour FINAL');
    expect(await store.resolution(window)).toBe('1h');
    await toldAlike(window);
  });

  test('outlive the rows that they are of', async () => {
    const exact = await statisticsOf(oracle, 'process_cpu', undefined);
    await store.expire(midnight + hour + 2 * day);
    expect(await ask(`SELECT count() FROM hours.process WHERE time < ${midnight}`)).toBe('0');
    await toldAlike(all);
    for (const metric of ['process_cpu', 'process_memory', 'process_threads'])
      for (const by of [undefined, ['process'], ['host'], []]) {
        const [told, wanted] = [await statisticsOf(store, metric, by), await statisticsOf(oracle, metric, by)];
        expect([...told.groups.keys()].sort()).toEqual([...wanted.groups.keys()].sort());
        for (const [key, { percentiles: _, labels, ...moments }] of wanted.groups) {
          const { percentiles, ...own } = told.groups.get(key) as Statistics;
          alike(own, { labels, ...moments });
          expect(percentiles === null).toBe(metric === 'process_threads');
        }
      }
    const told = await statisticsOf(store, 'process_cpu', undefined);
    expect(told.percentileError).toBeCloseTo(sketchError);
    for (const [key, { percentiles }] of exact.groups)
      for (const name of quantiles) {
        const own = told.groups.get(key)?.percentiles?.[name] ?? Number.NaN;
        // Between two ranks the exact one is interpolated.
        expect(Math.abs(own - (percentiles?.[name] ?? 0))).toBeLessThanOrEqual(0.03 * own + 0.8);
      }
    await expect(statisticsOf(store, 'process_cpu', undefined, true)).rejects.toThrow(/begins before the oldest/);
    // A selector finds what only they have; an edge is where its hour has it.
    const window = { from: midnight - 100 * minute, to: midnight - 95 * minute };
    const selected = await store.select({
      ...window,
      series: parseSelector('process_cpu{host="web-1"}'),
      stepMs: hour,
    });
    expect(selected).toHaveLength(names.length);
    const [row] = await store.means({ ...window, process: 'service-1', hosts: ['web-1'] });
    expect(row).toMatchObject({ snapshots: 60 });
  });

  test('are forgotten when their own time is over', async () => {
    await store.expire(midnight + 400 * day);
    expect(Number(await ask(`SELECT min(time) FROM hours.process_hour`))).toBe(midnight);
    await store.expire(midnight + 402 * day);
    expect(await ask('SELECT count() FROM hours.process_hour')).toBe('0');
    expect(await ask('SELECT count() FROM hours.rolled_hour')).toBe('0');
  });
});

async function stepsOf(store: Store, query: Parameters<Store['select']>[0]) {
  const told = (each: Selected) => [JSON.stringify(each.series), each.samples] as const;
  return Object.fromEntries((await store.select(query)).map(told));
}

/** Numbers but for what adding in another order loses. */
function alike(told: unknown, wanted: unknown): void {
  if (typeof wanted === 'number' && typeof told === 'number') {
    expect(Math.abs(told - wanted)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(wanted)));
    return;
  }
  if (typeof wanted !== 'object' || wanted === null) {
    expect(told).toEqual(wanted);
    return;
  }
  expect(Object.keys(told as object).sort()).toEqual(Object.keys(wanted).sort());
  for (const [key, value] of Object.entries(wanted)) alike((told as Record<string, unknown>)[key], value);
}
