import { existsSync, readdirSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/core/snapshot.ts';
import type { Store } from '../../src/core/store.ts';
import { openStore } from '../../src/store/open.ts';
import { makeSnapshot } from '../make-snapshot.ts';
import { tableRows } from '../table-rows.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const noon = Date.UTC(2026, 5, 1, 12);
const retention = { retentionMs: 2 * day, minuteRetentionMs: 7 * day, hourRetentionMs: 400 * day };

function opener(name: string) {
  const path = join(temporaryFolder(), `${name}.db`);
  const said: string[] = [];
  const open = (more = {}) =>
    openStore(`duckdb:${path}`, { ...retention, ...more, now: () => noon, warn: (text) => said.push(text) });
  const files = () => (existsSync(`${path}.parts`) ? readdirSync(`${path}.parts`).sort() : []);
  return { path, open, said, files };
}

/** Numbers that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

/** Three hours of three hosts, some of it not known, in the order of time. */
function history(next: () => number): Snapshot[] {
  const snapshots: Snapshot[] = [];
  for (let time = noon - 3 * hour; time < noon; time += 20_000)
    for (const host of ['a', 'b', 'c']) {
      if (next() < 0.05) continue;
      const value = () => (next() < 0.1 ? null : next() < 0.5 ? 12.5 : Math.round(next() * 100_000) / 1000);
      const processes = ['idle', 'busy', `of ${host}`].filter(() => next() < 0.9);
      const usage = (name: string) => {
        const [cpu, memory, count] = [value(), value(), next() < 0.7 ? 1 : 3];
        const isOne = count === 1 && next() < 0.8;
        return {
          name,
          count,
          cpu,
          cpuMax: isOne ? cpu : value(),
          memory,
          memoryMax: isOne ? memory : value(),
          rssBytes: next() < 0.5 ? Math.floor(next() * 1e6) * 4096 : Math.floor(next() * 1e9),
        };
      };
      snapshots.push(makeSnapshot({ host, time: time + (host === 'c' ? 777 : 0), processes: processes.map(usage) }));
    }
  return snapshots;
}

/** Everything that can be asked, over windows with whole and with ragged edges. */
async function answers(store: Store, next: () => number): Promise<unknown[]> {
  const all: unknown[] = [];
  const windows = [
    { from: noon - 3 * hour - 1, to: noon },
    { from: noon - 2 * hour - 1, to: noon - hour - 1 },
    ...Array.from({ length: 5 }, () => {
      const from = noon - Math.floor(next() * 3.2 * hour);
      return { from, to: from + Math.floor(next() * 2.5 * hour) };
    }),
  ];
  const busy = (metric: string) => ({ metric, labels: { host: 'b', process: 'busy' } });
  for (const window of windows) {
    all.push(rounded(await store.means(window)), rounded(await store.means({ ...window, hosts: ['a'] })));
    all.push(rounded(await store.means({ ...window, process: 'busy' })));
    all.push(tableRows(await store.page({ ...window, limit: 40, skip: 7 })));
    for (const stepMs of [30_000, minute, 10 * minute, hour, null])
      for (const aggregate of ['mean', 'min', 'max'] as const) {
        const series = [busy('process_cpu'), busy('process_memory_max')];
        all.push(rounded((await store.select({ ...window, series, stepMs, aggregate })).map(({ samples }) => samples)));
      }
    const selector = { metric: 'process_cpu_max', matchers: [] };
    all.push((await store.above(selector, 97, window)).map(({ labels }) => `${labels.host} ${labels.process}`).sort());
    const selected = await store.select({ ...window, series: selector, stepMs: hour });
    all.push(selected.map(({ series, samples }) => [series.labels, rounded(samples)]));
  }
  return all;
}

/** What is half-way between two roundings, as sums of thousandths often are, would go either way. */
const offTies = 1 + 3e-13;

/** Sums in another order. */
function rounded(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, each) => (typeof each === 'number' ? Number((each * offTies).toPrecision(11)) : each)),
  );
}

describe('what is closed', () => {
  test.each([1, 2])('answers as if nothing were, whatever comes late (%i)', async (seed) => {
    const next = random(seed);
    const snapshots = history(next);
    const { open, files } = opener(`closed-${seed}`);
    const [store, plain] = [await open(), await openStore('memory:', { retentionMs: 2 * day, warn: () => undefined })];
    const late = snapshots.filter(() => next() < 0.2);
    const inTime = snapshots.filter((snapshot) => !late.includes(snapshot));
    await plain.append({ snapshots: structuredClone(snapshots) });
    let now = noon - 8 * hour;
    for (const part of [inTime, late.slice(0, 60), late.slice(60)]) {
      await store.append({ snapshots: part });
      now += 7 * hour;
      await store.compact(now);
    }
    // Some is still young.
    await store.append({ snapshots: [] });
    expect(files().filter((name) => name.startsWith('usage')).length).toBeGreaterThan(2);
    const seedOfQuestions = Math.floor(next() * 1e9);
    expect(await answers(store, random(seedOfQuestions))).toEqual(await answers(plain, random(seedOfQuestions)));
    // The day too.
    await store.compact(noon + 5 * day);
    expect(files().map((name) => name.split('-')[0])).toContain('hour');
    expect(await answers(store, random(seedOfQuestions))).toEqual(await answers(plain, random(seedOfQuestions)));
    await store.close();
    const again = await open();
    expect(await answers(again, random(seedOfQuestions))).toEqual(await answers(plain, random(seedOfQuestions)));
    await again.close();
  });

  test('its roll-ups are kept longer than its rows, and told where rows would be', async () => {
    const { open, files } = opener('long');
    const store = await open();
    const snapshots = history(random(7));
    await store.append({ snapshots });
    const whole = { from: noon - 2 * hour - 1, to: noon - hour - 1 };
    const ragged = { from: noon - 3 * hour + 5000, to: noon - 12_345 };
    const before = await store.means(whole);
    await store.compact(noon + 2 * hour);
    await store.expire(noon + 3 * day);
    expect(tableRows(await store.page({ ...ragged, limit: 10, skip: 0 }))).toEqual([]);
    expect(rounded(await store.means(whole))).toEqual(rounded(before));
    // An edge is where the minute has it.
    const minutes = await store.means({ from: noon - 3 * hour - 1, to: noon - 1 });
    expect(await store.means(ragged)).toEqual(minutes);
    await store.compact(noon + 3 * day);
    await store.expire(noon + 8 * day);
    expect(new Set(files().map((name) => name.split('-')[0]))).toEqual(new Set(['hour', 'bucket']));
    expect(rounded(await store.means(whole))).toEqual(rounded(before));
    const series = [{ metric: 'process_cpu', labels: { host: 'a', process: 'busy' } }];
    const [found] = await store.select({ ...whole, series, stepMs: hour });
    expect(found?.samples).toHaveLength(1);
    // The host is known by its history alone, and forgotten with it.
    await store.expire(noon + 402 * day);
    expect(files()).toEqual([]);
    expect(await store.means({ from: 0, to: noon * 2 })).toEqual([]);
    await store.close();
  });

  test('questions while it is being closed miss nothing and count nothing twice', async () => {
    const { open } = opener('meanwhile');
    const store = await open();
    const snapshots = history(random(9));
    await store.append({ snapshots });
    const window = { from: noon - 4 * hour, to: noon };
    const rows = snapshots.reduce((sum, { processes }) => sum + processes.name.length, 0);
    let isDone = false;
    const compacted = store.compact(noon + 5 * day).finally(() => {
      isDone = true;
    });
    let asked = 0;
    while (!isDone) {
      const means = await store.means(window);
      expect(means.reduce((sum, { snapshots }) => sum + snapshots, 0)).toBe(rows);
      const page = await store.page({ ...window, limit: 10_000, skip: 0 });
      expect(page.time.length).toBe(rows);
      asked++;
    }
    await compacted;
    expect(asked).toBeGreaterThan(2);
    await store.close();
  });

  test('small files of an hour become one', async () => {
    const { open, files } = opener('small');
    const store = await open();
    const snapshots = history(random(3));
    for (let k = 0; k < 30; k++) {
      await store.append({ snapshots: snapshots.filter((_, index) => index % 30 === k) });
      await store.compact(noon + (k + 1) * 7 * hour);
    }
    expect(files().filter((name) => name.startsWith('usage')).length).toBeLessThanOrEqual(3 * 9);
    const means = await store.means({ from: noon - 4 * hour, to: noon });
    expect(means.reduce((sum, each) => sum + each.snapshots, 0)).toBe(
      snapshots.reduce((sum, { processes }) => sum + processes.name.length, 0),
    );
    await store.close();
  });

  test('a file that is damaged costs its rows, is set aside and said; one that is missing comes back', async () => {
    const { path, open, files, said } = opener('damaged');
    let store = await open();
    const snapshots = history(random(5));
    await store.append({ snapshots });
    await store.compact(noon + 2 * hour);
    const at = (index: number) =>
      join(`${path}.parts`, files().filter((name) => name.startsWith('usage'))[index] as string);
    const rowsOf = async (from: number) =>
      tableRows(await store.page({ from: from - 1, to: from + hour - 1, limit: 10_000, skip: 0 })).length;
    const hours = [noon - 3 * hour, noon - 2 * hour, noon - hour] as const;
    const before = await Promise.all(hours.map(rowsOf));
    // While it runs, in the middle: a question meets it.
    const size = statSync(at(0)).size;
    truncateSync(at(0), size - 200);
    expect(await Promise.all(hours.map(rowsOf))).toEqual([0, before[1], before[2]]);
    await store.compact(noon + 2 * hour);
    expect(said, said.join('\n')).toHaveLength(1);
    expect(said[0]).toMatch(
      /usage-2026-06-01T09-\d+\.parquet was damaged and is in .*damaged-.* now, with .* rows of 2026-06-01T09:00Z to/,
    );
    expect(files().filter((name) => name.includes('damaged'))).toHaveLength(1);
    await store.close();
    // A byte of it, which nobody asks for: found after the start.
    const [second] = files().filter((name) => name.startsWith('usage') && name.endsWith('parquet'));
    const damaged = join(`${path}.parts`, second as string);
    const bytes = Buffer.alloc(8, 7);
    const { openSync, writeSync, closeSync } = await import('node:fs');
    const file = openSync(damaged, 'r+');
    writeSync(file, bytes, 0, 8, 100);
    closeSync(file);
    // And the third is not there.
    const third = join(`${path}.parts`, files().filter((name) => /^usage.*parquet$/.test(name))[1] as string);
    renameSync(third, `${path}.away`);
    said.length = 0;
    store = await open();
    await store.compact(noon + 2 * hour);
    expect(await Promise.all(hours.map(rowsOf))).toEqual([0, 0, 0]);
    expect(said.map((text) => (text.includes('is missing') ? 'missing' : 'damaged')).sort()).toEqual([
      'damaged',
      'missing',
    ]);
    // Roll-ups are other files.
    expect((await store.means({ from: hours[0] - 1, to: noon - 1 })).length).toBeGreaterThan(0);
    await store.close();
    renameSync(`${path}.away`, third);
    store = await open();
    expect(await Promise.all(hours.map(rowsOf))).toEqual([0, 0, before[2]]);
    await store.close();
  });

  test('what a kill has left in the folder is removed, and nothing else', async () => {
    const { path, open, files } = opener('left');
    let store = await open();
    await store.append({ snapshots: history(random(11)) });
    await store.compact(noon + 2 * hour);
    await store.close();
    const before = files();
    writeFileSync(join(`${path}.parts`, 'usage-2026-06-01T09-99.parquet'), 'half');
    writeFileSync(join(`${path}.parts`, 'usage-2026-06-01T09-98.parquet.tmp'), 'half');
    writeFileSync(join(`${path}.parts`, 'somebody else.txt'), 'kept');
    store = await open();
    expect(files()).toEqual([...before, 'somebody else.txt'].sort());
    await store.close();
  });

  test('where there is less room than it takes, the oldest goes, and it is said', async () => {
    const { open, said } = opener('room');
    let store = await open();
    await store.append({ snapshots: history(random(13)) });
    await store.compact(noon + 2 * hour);
    const use = await store.disk();
    const usage = use?.closed.find(({ family }) => family === 'usage');
    expect(use).toMatchObject({ mostBytes: null, closed: [{ family: 'usage', files: 3 }, { family: 'minute' }] });
    await store.close();
    store = await open({ mostBytes: (use?.databaseBytes ?? 0) + (usage?.bytes ?? 0) });
    await store.compact(noon + 2 * hour);
    expect(said.at(-1)).toMatch(
      /the store takes more than --max-disk .*: .* of the oldest, up to 2026-06-01T1\d:00Z, is forgotten/,
    );
    await store.close();
  });

  test('statistics of what has no rows any more: the same moments, percentiles at most 1 % off', async () => {
    const { open } = opener('statistics');
    const store = await open();
    await store.append({ snapshots: history(random(23)) });
    const window = { from: noon - 3 * hour - 1, to: noon };
    const ask = async (metric: string, by?: string[]) => {
      const query = { ...window, selector: { metric, matchers: [] }, ...(by && { by }) };
      const { statistics, percentileError } = await store.statistics(query);
      return { statistics: new Map(statistics.map((each) => [JSON.stringify(each.labels), each])), percentileError };
    };
    const selector = { metric: 'process_cpu', matchers: [] };
    const samples = await store.select({ ...window, series: selector, stepMs: null });
    const within = (from: number, to: number) => async (asked: Store) => {
      const { statistics } = await asked.statistics({
        from: noon - from,
        to: noon - to,
        selector: { metric: 'process_cpu', matchers: [] },
      });
      return { statistics: new Map(statistics.map((each) => [JSON.stringify(each.labels), each])) };
    };
    const [some, few] = [
      within(3 * hour + 1, 5 * minute + 1),
      within(2 * hour + 20 * minute + 1, 2 * hour + 5 * minute + 1),
    ];
    const ragged = { some: (await some(store)).statistics, few: (await few(store)).statistics };
    const before = await ask('process_cpu');
    const memory = await ask('process_memory_max', ['host']);
    expect(before.percentileError).toBe(0);
    await store.compact(noon + 2 * hour);
    await store.expire(noon + 3 * day);
    const after = await ask('process_cpu');
    expect(after.percentileError).toBeCloseTo(0.0099, 4);
    expect(after.statistics.size).toBe(before.statistics.size);
    for (const [key, { percentiles: _, ...moments }] of before.statistics) {
      const { percentiles, ...told } = after.statistics.get(key) as NonNullable<
        ReturnType<typeof before.statistics.get>
      >;
      expect(told).toEqual({
        ...moments,
        mean: expect.closeTo(moments.mean, 9),
        deviation: expect.closeTo(moments.deviation, 8),
      });
      const own = samples.find(({ series }) => JSON.stringify(series.labels) === key)?.samples ?? [];
      const values = own.flatMap(({ value }) => (typeof value === 'number' ? [value] : [])).sort((a, b) => a - b);
      for (const [name, share] of Object.entries({ p50: 0.5, p95: 0.95, p99: 0.99 })) {
        const right = values[Math.floor(share * (values.length - 1))] as number;
        const off = Math.abs((percentiles?.[name as 'p50'] as number) - right);
        expect(off, `${name} of ${key}`).toBeLessThanOrEqual(0.01 * right);
      }
    }
    // Ragged windows: by minutes, and percentiles only where whole hours stand for them.
    for (const [metric, { statistics }] of [
      ['some', await some(store)],
      ['few', await few(store)],
    ] as const) {
      for (const [key, { percentiles: _, ...moments }] of ragged[metric])
        expect(statistics.get(key)).toMatchObject({
          ...moments,
          mean: expect.closeTo(moments.mean, 9),
          deviation: expect.closeTo(moments.deviation, 8),
        });
      const told = [...statistics.values()].filter(({ percentiles }) => percentiles !== null).length;
      expect([metric, told > 0]).toEqual([metric, metric === 'some']);
    }
    // Of other quantities there are no buckets.
    const peaks = await ask('process_memory_max', ['host']);
    for (const [key, { percentiles: _, ...moments }] of memory.statistics)
      expect(peaks.statistics.get(key)).toEqual({
        ...moments,
        mean: expect.closeTo(moments.mean, 9),
        deviation: expect.closeTo(moments.deviation, 8),
        percentiles: null,
      });
    await expect(store.statistics({ ...window, selector, isExact: true })).rejects.toThrow(
      /before the oldest that are kept/,
    );
    await store.close();
  });

  test('of a window that is older than its rows minutes are told, however short it is', async () => {
    const { open } = opener('short');
    const store = await open();
    await store.append({ snapshots: history(random(17)) });
    await store.compact(noon + 2 * hour);
    const window = { from: noon - 2 * hour - 1, to: noon - 2 * hour + 5 * minute - 1 };
    const before = rounded(await store.means(window));
    await store.expire(noon + 3 * day);
    expect(rounded(await store.means(window))).toEqual(before);
    expect(await store.resolution(window)).toBe('1m');
    await store.close();
  });

  test('where rows were forgotten for want of room, percentiles of what is left are not told as those of all', async () => {
    const { open } = opener('forgotten');
    let store = await open();
    const value = (time: number) => (time < noon - 2 * hour ? 10 : 101);
    for (let time = noon - 4 * hour; time < noon; time += 10_000)
      await store.append({
        snapshots: [makeSnapshot({ host: 'a', time, processes: [{ name: 'x', cpu: value(time) }] })],
      });
    await store.compact(noon + 2 * hour);
    const use = await store.disk();
    const kept = ['usage', 'minute'].map((family) => use?.closed.find((each) => each.family === family)?.bytes ?? 0);
    await store.close();
    store = await open({ mostBytes: (use?.usedBytes ?? 0) + ((kept[0] as number) + (kept[1] as number)) / 3 });
    await store.compact(noon + 2 * hour);
    const window = { from: noon - 4 * hour - 1, to: noon, selector: { metric: 'process_cpu', matchers: [] } };
    const { statistics, percentileError } = await store.statistics(window);
    expect(statistics).toMatchObject([{ count: 1440, min: 10, max: 101, mean: 55.5 }]);
    expect(percentileError).toBeGreaterThan(0);
    expect(Math.abs((statistics[0]?.percentiles?.p50 ?? 0) - 10)).toBeLessThanOrEqual(0.1);
    await expect(store.statistics({ ...window, isExact: true })).rejects.toThrow(/before the oldest that are kept/);
    await store.close();
  });

  test('runs of many hours are the same by roll-ups as by every row', async () => {
    const { open } = opener('runs');
    const store = await open();
    const next = random(41);
    const names = ['over', 'dips', 'low', 'exits', 'between', 'unknown'];
    const start = noon - 8 * hour;
    /** Steady most of the time; what is special happens to one of them in one of ten minutes. */
    const cpuOf = (name: string, special: boolean): number | null | undefined => {
      const usual = { over: 95, dips: 95, low: 10, exits: 95, between: 75, unknown: 95 }[name] as number;
      if (!special) return usual;
      return { over: 81, dips: 10, low: 95, exits: undefined, between: 85, unknown: null }[name];
    };
    const late: Snapshot[] = [];
    const snapshots: Snapshot[] = [];
    let special = -1;
    for (let time = start; time < noon; time += 10_000) {
      if (time % (10 * minute) === 0) special = Math.floor(next() * 20);
      // The host is silent for two minutes now and then.
      if (Math.floor(time / minute) % 170 < 2) continue;
      const processes = names.flatMap((name, index) => {
        const cpu = cpuOf(name, index === special && time % (10 * minute) < minute);
        return cpu === undefined ? [] : [{ name, cpu, cpuMax: cpu }];
      });
      const snapshot = makeSnapshot({ host: 'a', time, processes: [{ name: 'always' }, ...processes] });
      (next() < 0.001 ? late : snapshots).push(snapshot);
    }
    const series = (name: string) => ({ metric: 'process_cpu_max', labels: { host: 'a', process: name } });
    const level = { red: 80, clear: 70, forMs: 0, holdMs: 30_000, gapMs: 60_000 };
    const ask = async (from: number, until: number, asked: readonly string[]) => {
      const queries = asked.map((name) => ({ ...level, series: series(name), until }));
      return store.stretches?.(queries, { from, to: until });
    };
    const askAll = async () => {
      const all: unknown[] = [];
      for (const [from, until] of [
        [start - 1, noon],
        [start + 17 * minute, noon - 5 * minute],
        [start + 2 * hour + 1, noon - hour - 1],
        [start + hour - 1, noon - 2 * hour],
      ] as const)
        for (const asked of [names, ...names.map((name) => [name])]) all.push(await ask(from, until, asked));
      return all;
    };
    await store.append({ snapshots });
    const young = await askAll();
    await store.compact(noon + 2 * hour);
    expect(await askAll()).toEqual(young);
    await store.append({ snapshots: late });
    const withLate = await askAll();
    await store.compact(noon + 9 * hour);
    expect(await askAll()).toEqual(withLate);
    expect(late.length).toBeGreaterThan(0);
    await store.close();
  });

  test('numbers as large as any may be stop nothing', async () => {
    const { open, said, files } = opener('large');
    const store = await open();
    const rssBytes = Number.MAX_SAFE_INTEGER;
    const snapshots = Array.from({ length: 1100 }, (_, k) =>
      makeSnapshot({
        host: 'large',
        time: noon - hour + k * 1000,
        processes: [{ name: 'a', rssBytes, ioReadBytesPerSecond: rssBytes }],
      }),
    );
    await store.append({ snapshots: [...snapshots, makeSnapshot({ host: 'b', time: noon - 2 * hour })] });
    await store.compact(noon + 2 * hour);
    expect([said, files().filter((name) => name.startsWith('usage')).length]).toEqual([[], 2]);
    const series = [{ metric: 'process_rss_bytes', labels: { host: 'large', process: 'a' } }];
    const [found] = await store.select({ from: noon - hour - 1, to: noon, series, stepMs: hour, aggregate: 'max' });
    expect(found?.samples).toEqual([{ time: noon - hour, value: rssBytes }]);
    await store.close();
  });

  test('files that the database does not know are kept under another name, and it is said', async () => {
    const { path, open, files, said } = opener('other');
    let store = await open();
    await store.append({ snapshots: history(random(19)) });
    await store.compact(noon + 2 * hour);
    await store.close();
    const before = files();
    renameSync(path, `${path}.away`);
    store = await open();
    await store.append({ snapshots: [makeSnapshot({ time: noon })] });
    await store.compact(noon);
    expect(files().map((name) => name.replace(/\.unknown-.*/, ''))).toEqual(before);
    expect(said).toEqual([
      expect.stringMatching(/^\d+ files in .* are not known to the database, as if it were another or older one/),
    ]);
    await store.close();
  });

  test('with a retention of less than three hours nothing is closed: rows would be gone before their hour is over', async () => {
    const { open, files } = opener('little');
    const store = await open({ retentionMs: 2 * hour });
    await store.append({ snapshots: history(random(23)) });
    await store.compact(noon + 5 * hour);
    expect(files()).toEqual([]);
    await store.close();
  });

  test('rows come as a Parquet file, young and closed', async () => {
    const { path, open, files } = opener('parquet');
    const store = await open();
    await store.append({ snapshots: history(random(29)) });
    await store.compact(noon);
    const query = { from: noon - 3 * hour, to: noon, hosts: ['a'], limit: 500, skip: 20 };
    const file = `${path}.answer.parquet`;
    writeFileSync(file, (await store.parquet?.(query)) as Uint8Array);
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const sql = `SELECT host, epoch_ms(time)::DOUBLE AS time, process AS name, "cpu", "memoryMax", "rssBytes"::DOUBLE AS "rssBytes" FROM '${file}'`;
    const rows = (await connection.runAndReadAll(sql)).getRowObjects();
    connection.closeSync();
    instance.closeSync();
    const expected = tableRows(await store.page(query)).map(({ host, time, name, cpu, memoryMax, rssBytes }) => ({
      host,
      time,
      name,
      cpu,
      memoryMax,
      rssBytes,
    }));
    expect(rows).toEqual(expected);
    expect((await store.parquet?.({ ...query, hosts: ['nobody'] }))?.length).toBeGreaterThan(0);
    expect(files().filter((name) => name.includes('answer'))).toEqual([]);
    await store.close();
  });
});
