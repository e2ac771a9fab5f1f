import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findRuns, runOf, stretchesOf } from '../../src/alarms/run.ts';
import type { HostMetric, UsageMetric } from '../../src/core/metric.ts';
import { isKnown, type MetricSample } from '../../src/core/sample.ts';
import { parseSelector, type Selector } from '../../src/core/selector.ts';
import { hostSeries, processSeries, type Series, seriesKey, subjectOf } from '../../src/core/series.ts';
import { byStep } from '../../src/core/step-values.ts';
import type { Aggregate, Store, StoreOptions, UsageFilter } from '../../src/core/store.ts';
import { emptyTally, type HourTally, type Tally } from '../../src/core/tally.ts';
import { makeForecast, makeSeries } from '../make-forecast.ts';
import { makeSnapshot, makeUsage } from '../make-snapshot.ts';
import { tableRows } from '../table-rows.ts';

export interface StoreUnderTest {
  /** Opens the store again on the same data, as after a restart. */
  open(more?: Partial<StoreOptions>): Promise<Store>;
  /** Resolves when what was expired cannot be seen any more. Absent: the engine expires by itself. */
  expires?: boolean;
  /** Data survive close and open. */
  durable: boolean;
  /** What a second, different body for a stored (host, time) does. */
  conflict: 'first-wins' | 'last-wins';
}

const hour = 3_600_000;
/** Every host of a test is its own, so that tests share a store and cannot see each other. */
let hostNumber = 0;
/** A database that outlives the tests has the hosts of earlier runs. */
const run = Date.now().toString(36);
const newHost = () => `host-${run}-${++hostNumber}`;
const minute = (at: number) => ({ from: at - 60_000, to: at });

/** What every engine has to do alike. Retention in it is 2 days, counted from `now`. */
export function storeContract(name: string, prepare: () => Promise<StoreUnderTest & { now: number }>): void {
  describe(`store contract: ${name}`, () => {
    let tested: StoreUnderTest & { now: number };
    let store: Store;
    /** A recent instant: InfluxDB refuses points older than its retention. */
    let t: number;

    beforeAll(async () => {
      tested = await prepare();
      store = await tested.open();
      t = Math.floor((tested.now - hour) / 10_000) * 10_000;
    });
    afterAll(() => store?.close());
    const reopen = async (more: Partial<StoreOptions> = {}) => {
      await store.close();
      store = await tested.open(more);
    };

    test('gives back what it was given, nulls included', async () => {
      const host = newHost();
      const processes = [
        {
          name: 'a',
          count: 3,
          cpu: 12.345,
          cpuMax: 8,
          memory: 0.001,
          memoryMax: 0,
          rssBytes: 8_589_934_591 * 512,
          threads: 100_000_000,
          ioReadBytesPerSecond: 8_589_934_591 * 512,
          ioWriteBytesPerSecond: 0,
          pid: 4_194_304,
        },
        { name: 'b', cpu: null, memory: null, rssBytes: null, pid: null },
        { name: 'c', cpu: 999_999.999, memory: 0 },
      ];
      const snapshot = makeSnapshot({ host, time: t, processes });
      await store.append({ snapshots: [snapshot] });
      const rows = tableRows(await store.page({ ...minute(t), hosts: [host], limit: 10, skip: 0 }));
      const byName = rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      expect(byName).toEqual(processes.map((usage) => ({ host, time: t, ...makeUsage(usage) })));
      const [header] = (await store.latest(t)).filter((found) => found.host === host);
      const { processes: _, ...expected } = snapshot;
      expect(header).toEqual(expected);
    });

    test('keeps a header in which next to nothing is known', async () => {
      const host = newHost();
      const bare = {
        host,
        time: t,
        ip: null,
        bootId: null,
        cores: null,
        memoryBytes: null,
        metrics: {},
        processes: [],
      };
      await store.append({ snapshots: [makeSnapshot(bare)] });
      const [header] = (await store.latest(t)).filter((found) => found.host === host);
      expect(header).toMatchObject({ host, ip: null, bootId: null, cores: null, memoryBytes: null, metrics: {} });
    });

    test('gives back for a copy every header and every sample of other sources as it was taken', async () => {
      const host = newHost();
      const ahead = { ...makeSnapshot({ host, time: t + 2 }), isFromFuture: true as const };
      const skewed = makeSnapshot({ host, time: t + 1, metrics: { 'collector.clockSkewSeconds': 90 } });
      const snapshots = [makeSnapshot({ host, time: t }), skewed, ahead, makeSnapshot({ host, time: t + 3 })];
      await store.append({ snapshots: structuredClone(snapshots) });
      const found = (await store.headers({ from: t - 1, to: t + 2 })).filter((header) => header.host === host);
      const wanted = snapshots.slice(0, 3).map(({ processes: _, ...header }) => header);
      expect(found.sort((a, b) => a.time - b.time)).toEqual(wanted);
      const series = { metric: 'copied_total', labels: { host, path: '/a "b"\n' } };
      const kinds = [
        { kind: 'counter', value: 7.25, time: t + 1, owner: 'prometheus x y' },
        { kind: 'counter', value: 'exited', time: t + 2, owner: 'prometheus x y' },
        { kind: 'counter', value: 0.1 + 0.2, time: t + 3, owner: 'prometheus x y' },
      ] as const;
      await store.append({ samples: kinds.map((each) => ({ series, ...each })) });
      const samples = (await store.samples({ from: t, to: t + 2 })).filter(
        ({ series: { labels } }) => labels.host === host,
      );
      expect(samples.sort((a, b) => a.time - b.time)).toEqual(kinds.slice(0, 2).map((each) => ({ series, ...each })));
    });

    test('what servers agree on is there for all, the latest of each key', async (context) => {
      const { agreements } = store;
      if (agreements === undefined) context.skip('one server has it to itself');
      const key = `${newHost()} 'quoted'`;
      const said = (body: unknown, at: number) => agreements?.write('desired', new Map([[key, { body, at }]]));
      const read = async () => (await agreements?.read('desired'))?.get(key);
      await said({ isPaused: true }, t);
      await said({ isPaused: false, why: 'é"\\' }, t + 2);
      await said({ isPaused: 'late' }, t + 1);
      expect(await read()).toEqual({ body: { isPaused: false, why: 'é"\\' }, at: t + 2 });
      expect((await agreements?.read('forgotten'))?.has(key)).toBe(false);
      await said(null, t + 3);
      expect(await read()).toBeUndefined();
    });

    test('any name survives a round trip and can be asked for', async () => {
      const names = [
        'it\'s "quoted"',
        'a,b c=d',
        'back\\slash\\',
        'line\nfeed\r\ttab',
        '🐢 turtle',
        "'; DROP TABLE usage; --",
        ' leading',
        'trailing ',
        '%41',
        '%',
        '#comment',
        '\u0000nul',
        '\u202ebidi',
        '\ufeffbom',
        '__proto__',
        '-',
        'x'.repeat(260),
        '日本語',
      ];
      const host = `\ufeff${newHost()} ,="\\'\n`;
      await store.append({ snapshots: [makeSnapshot({ host, time: t, processes: names.map((name) => ({ name })) })] });
      const rows = tableRows(await store.page({ ...minute(t), hosts: [host], limit: 100, skip: 0 }));
      expect(rows.map((row) => row.name).sort()).toEqual([...names].sort());
      for (const name of names) {
        const mean = await store.means({ ...minute(t), hosts: [host], process: name });
        expect(mean.map((row) => row.name)).toEqual([name]);
      }
    });

    test('generated names survive a round trip', async () => {
      const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(name, { minLength: 1, maxLength: 20 }), async (names) => {
          const host = newHost();
          await store.append({
            snapshots: [makeSnapshot({ host, time: t, processes: names.map((name) => ({ name })) })],
          });
          const rows = tableRows(await store.page({ ...minute(t), hosts: [host], limit: 100, skip: 0 }));
          expect(rows.map((row) => row.name).sort()).toEqual([...names].sort());
        }),
        { numRuns: 25 },
      );
    });

    test('a repeated (host, time) is stored once: beside, after and around newer ones', async () => {
      const host = newHost();
      const at = (seconds: number) => makeSnapshot({ host, time: t + seconds * 1000, processes: [{ name: 'p' }] });
      await store.append({ snapshots: [at(0), at(0), at(10)] });
      await store.append({ snapshots: [at(0)] });
      await Promise.all([
        store.append({ snapshots: [at(20)] }),
        store.append({ snapshots: [at(20)] }),
        store.append({ snapshots: [at(5)] }),
      ]);
      const rows = tableRows(await store.page({ from: t - 1, to: t + 60_000, hosts: [host], limit: 100, skip: 0 }));
      expect(rows.map((row) => (row.time - t) / 1000)).toEqual([0, 5, 10, 20]);
    });

    test('a repeated (host, time) is stored once even when it is far behind', async () => {
      const host = newHost();
      const backlog = Array.from({ length: 300 }, (_, i) => makeSnapshot({ host, time: t - i * 1000 }));
      await store.append({ snapshots: backlog });
      await store.append({ snapshots: backlog.slice(250) });
      const mean = await store.means({ from: t - hour, to: t, hosts: [host] });
      expect(mean[0]).toMatchObject({ snapshots: 300 });
    });

    test('a second body for a stored (host, time)', async () => {
      const host = newHost();
      await store.append({ snapshots: [makeSnapshot({ host, time: t, processes: [{ name: 'p', cpu: 1 }] })] });
      await store.append({ snapshots: [makeSnapshot({ host, time: t, processes: [{ name: 'p', cpu: 2 }] })] });
      const [row] = tableRows(await store.page({ ...minute(t), hosts: [host], limit: 10, skip: 0 }));
      expect(row?.cpu).toBe(tested.conflict === 'first-wins' ? 1 : 2);
    });

    test('a mean is over the snapshots and hosts that have a value', async () => {
      const [one, two] = [newHost(), newHost()];
      // Other tests make up names, and their rows count in all.
      const name = `mean of ${one}`;
      await store.append({
        snapshots: [
          makeSnapshot({ host: one, time: t - 20_000, processes: [{ name, cpu: null, memory: 10, count: 2 }] }),
          makeSnapshot({
            host: one,
            time: t - 10_000,
            processes: [{ name, cpu: 30, memory: 20, count: 4, threads: 40 }],
          }),
          makeSnapshot({
            host: two,
            time: t,
            processes: [{ name, cpu: 60, cpuMax: 55, memory: 30, memoryMax: 3, count: 3, threads: 20 }],
          }),
        ],
      });
      const hosts = [one, two];
      const [row] = await store.means({ from: t - 60_000, to: t, hosts, process: name });
      expect(row).toMatchObject({
        name,
        cpu: 45,
        memory: 20,
        cpuMax: 55,
        memoryMax: 20,
        count: 3,
        hosts: 2,
        snapshots: 3,
        threads: 30,
        ioReadBytesPerSecond: null,
      });
      const [early] = await store.means({ from: t - 60_000, to: t - 20_000, hosts, process: name });
      expect(early).toMatchObject({
        name,
        cpu: null,
        memory: 10,
        cpuMax: null,
        memoryMax: 10,
        count: 2,
        hosts: 1,
        snapshots: 1,
      });
      const [whole] = (await store.means({ from: t - 60_000, to: t })).filter((found) => found.name === name);
      expect(whole).toEqual(row);
    });

    test('a window excludes its start and includes its end', async () => {
      const host = newHost();
      await store.append({ snapshots: [makeSnapshot({ host, time: t }), makeSnapshot({ host, time: t + 10_000 })] });
      const times = async (from: number, to: number) =>
        tableRows(await store.page({ from, to, hosts: [host], limit: 10, skip: 0 })).map((row) => row.time - t);
      expect(await times(t, t + 10_000)).toEqual([10_000]);
      expect(await times(t - 1, t + 9_999)).toEqual([0]);
      expect(await times(t, t)).toEqual([]);
    });

    test('top names by mean CPU, those without one last', async () => {
      const host = newHost();
      const processes = [
        { name: 'none', cpu: null },
        { name: 'low', cpu: 1 },
        { name: 'high', cpu: 90 },
        { name: 'mid', cpu: 50 },
      ];
      await store.append({ snapshots: [makeSnapshot({ host, time: t, processes })] });
      const top = async (top?: number) =>
        (await store.means({ ...minute(t), hosts: [host], ...(top && { top }) })).map((row) => row.name);
      expect(await top(2)).toEqual(['high', 'mid']);
      expect(await top()).toEqual(['high', 'mid', 'low', 'none']);
    });

    test('pages of raw rows join up in order of time, host and name', async () => {
      const [one, two] = [newHost(), newHost()];
      const processes = [{ name: 'b' }, { name: 'a' }, { name: 'c' }];
      await store.append({
        snapshots: [two, one].flatMap((host) =>
          [10_000, 0].map((ms) => makeSnapshot({ host, time: t + ms, processes })),
        ),
      });
      const query = { from: t - 1, to: t + 10_000, hosts: [one, two] };
      const all = tableRows(await store.page({ ...query, limit: 100, skip: 0 }));
      const key = (row: { time: number; host: string; name: string }) => `${row.time} ${row.host} ${row.name}`;
      expect(all.map(key)).toEqual(
        [t, t + 10_000].flatMap((at) =>
          [one, two].flatMap((host) => ['a', 'b', 'c'].map((name) => `${at} ${host} ${name}`)),
        ),
      );
      const pages = await Promise.all(
        [0, 5, 10].map(async (skip) => tableRows(await store.page({ ...query, limit: 5, skip }))),
      );
      expect(pages.flat().map(key)).toEqual(all.map(key));
    });

    test('unknown hosts and names have no rows', async () => {
      const query = { from: 0, to: t + hour, limit: 10, skip: 0 };
      expect(tableRows(await store.page({ ...query, hosts: ['nobody'] }))).toEqual([]);
      expect(await store.means({ ...query, process: 'nothing' })).toEqual([]);
      expect(await store.means({ ...query, hosts: [] })).toEqual([]);
      expect(await store.rows([{ host: 'nobody', time: t }])).toEqual([]);
      expect(await store.rows([])).toEqual([]);
    });

    test('the newest header at or before an instant', async () => {
      const host = newHost();
      await store.append({
        snapshots: [0, 10, 20].map((s) => makeSnapshot({ host, time: t + s * 1000, metrics: { 'system.cpu': s } })),
      });
      const at = async (ms: number) =>
        (await store.latest(t + ms)).filter((found) => found.host === host).map((found) => found.metrics['system.cpu']);
      expect(await at(20_000)).toEqual([20]);
      expect(await at(19_999)).toEqual([10]);
      expect(await at(-1)).toEqual([]);
    });

    test('rows of given snapshots, and of them only what is above a level', async () => {
      const [one, two] = [newHost(), newHost()];
      const processes = [
        { name: 'hot', cpu: 80.001, cpuMax: 80.001 },
        { name: 'big', memory: 90 },
        { name: 'exactly', cpu: 80 },
        { name: 'null', cpu: null, memory: null },
      ];
      await store.append({
        snapshots: [one, two].flatMap((host) =>
          [0, 10_000, 3_000_000].map((ms) => makeSnapshot({ host, time: t + ms, processes })),
        ),
      });
      const keys = [
        { host: one, time: t },
        { host: two, time: t + 10_000 },
        { host: two, time: t + 3_000_000 },
      ];
      const found = await store.rows(keys);
      expect(found.map((row) => `${row.host} ${row.time - t}`).sort()).toEqual(
        keys.flatMap(({ host, time }) => processes.map(() => `${host} ${time - t}`)).sort(),
      );
      const names = async (above: object) =>
        (await store.rows(keys.slice(0, 1), { above })).map((row) => row.name).sort();
      expect(await names({ cpuMax: 80 })).toEqual(['hot']);
      expect(await names({ cpuMax: 80, memoryMax: 80 })).toEqual(['big', 'hot']);
      expect(await names({})).toEqual([]);
      const top = (await store.rows(keys.slice(0, 2), { top: 1 })).map((row) => `${row.host} ${row.name}`);
      expect(top.sort()).toEqual([one, two].flatMap((host) => [`${host} big`, `${host} hot`]).sort());
    });

    test('rows of many snapshots that lie far apart come in one answer', async () => {
      const host = newHost();
      const times = Array.from({ length: 300 }, (_, i) => t - i * 120_000);
      await store.append({ snapshots: times.map((time) => makeSnapshot({ host, time })) });
      expect(await store.rows(times.map((time) => ({ host, time })))).toHaveLength(300);
    });

    test('when the run over a level began', async () => {
      const host = newHost();
      const values = [90, 70, 85, 78, 90, 95];
      await store.append({
        snapshots: values.map((cpu, i) =>
          makeSnapshot({
            host,
            time: t + i * 10_000,
            metrics: { 'system.cpu': cpu },
            processes: [
              { name: 'p', cpu },
              { name: 'q', cpu: i < 3 ? null : 99 },
            ],
          }),
        ),
      });
      const process = (name: string) => processSeries('cpuMax', host, name);
      const window = { from: t - 1, to: t + 50_000 };
      const since = async (
        series: Series,
        red: number,
        clear: number,
        gapMs = 30_000,
        to = window.to,
        { forMs = 0, holdMs = 0 } = {},
      ) =>
        (await findRuns(store, [{ series, red, clear, forMs, holdMs, gapMs, until: to }], window)).map(
          ({ since: time }) => (time === null ? null : (time - t) / 10_000),
        );
      expect(await since(process('p'), 80, 80)).toEqual([4]);
      expect(await since(process('p'), 80, 75)).toEqual([2]);
      expect(await since(process('p'), 80, 60)).toEqual([0]);
      expect(await since(process('p'), 97, 60)).toEqual([null]);
      expect(await since(process('p'), 80, 80, 30_000, t + 10_000)).toEqual([null]);
      expect(await since(process('q'), 80, 80)).toEqual([3]);
      expect(await since(hostSeries('system.cpu', host), 80, 75)).toEqual([2]);
      expect(await since(process('nothing'), 80, 75)).toEqual([null]);
      const holding = { holdMs: 10_000 };
      expect(await since(process('p'), 80, 80, 30_000, window.to, holding)).toEqual([0]);
      expect(await since(process('p'), 80, 80, 30_000, t + 10_000, holding)).toEqual([0]);
      expect(await since(process('p'), 80, 80, 30_000, window.to, { holdMs: 10_000, forMs: 10_000 })).toEqual([4]);
    });

    test('runs are as alarms/run.ts says, whatever comes, is unknown, exits and comes back', async () => {
      const seconds = [1, 10, 10, 10, 10, 11, 30, 45];
      const sweep = fc.record({
        after: fc.constantFrom(...seconds),
        cpu: fc.constantFrom(10, 60, 70, 75, 75.001, 80, 80.001, 95, null),
        exists: fc.constantFrom(true, true, true, true, true, false),
      });
      const levels = fc.record({
        red: fc.constantFrom(80, 75),
        clear: fc.constantFrom(75, 60),
        forMs: fc.constantFrom(0, 0, 10_000, 25_000),
        holdMs: fc.constantFrom(0, 10_000, 30_000),
        gapMs: fc.constantFrom(30_000, 60_000),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(sweep, { minLength: 1, maxLength: 25 }),
          fc.array(levels, { minLength: 3 }),
          async (sweeps, asked) => {
            const host = newHost();
            let time = t;
            const taken = sweeps.map(({ after, ...sweep }) => {
              time += after * 1000;
              return { ...sweep, time };
            });
            await store.append({
              snapshots: taken.map(({ time: at, cpu, exists }) =>
                makeSnapshot({
                  host,
                  time: at,
                  metrics: cpu === null ? {} : { 'system.cpu': cpu },
                  processes: [{ name: 'always' }, ...(exists ? [{ name: 'p', cpu }] : [])],
                }),
              ),
            });
            const window = { from: t, to: time };
            const middle = (taken[Math.floor(taken.length / 2)] as { time: number }).time;
            const totals = taken.map(({ time: at, cpu }) => ({ time: at, value: cpu }));
            const samples = taken.map(({ time: at, cpu, exists }) => ({
              time: at,
              value: exists ? cpu : ('exited' as const),
            }));
            for (const until of [middle, time]) {
              const queries = asked.map((level) => ({ ...level, until }));
              const of = (series: Series) =>
                findRuns(
                  store,
                  queries.map((query) => ({ series, ...query })),
                  window,
                );
              expect(await of(processSeries('cpuMax', host, 'p'))).toEqual(
                queries.map((query) => runOf(stretchesOf(samples, query), query)),
              );
              expect(await of(hostSeries('system.cpu', host))).toEqual(
                queries.map((query) => runOf(stretchesOf(totals, query), query)),
              );
            }
          },
        ),
        { numRuns: 40 },
      );
    });

    test('rows of names that were over a level shortly before', async () => {
      const [host, other] = [newHost(), newHost()];
      const put = (of: string, s: number, cpu: Record<string, number>) =>
        makeSnapshot({
          host: of,
          time: t + s * 1000,
          processes: Object.entries(cpu).map(([name, value]) => ({ name, cpu: value, memory: 1 })),
        });
      await store.append({
        snapshots: [
          put(host, 0, { long: 95, calm: 1, short: 1, gone: 1 }),
          put(host, 30, { long: 1, calm: 1, short: 95, gone: 95 }),
          put(host, 60, { long: 1, calm: 1, short: 1, now: 95 }),
          put(other, 60, { short: 1, now: 1 }),
        ],
      });
      const keys = [host, other].map((of) => ({ host: of, time: t + 60_000 }));
      const names = async (withinMs?: number) =>
        (await store.rows(keys, { above: { cpuMax: 80 }, ...(withinMs !== undefined && { withinMs }) }))
          .map((row) => `${row.host === host ? 1 : 2} ${row.name} ${row.cpu}`)
          .sort();
      expect(await names()).toEqual(['1 now 95']);
      expect(await names(40_000)).toEqual(['1 now 95', '1 short 1']);
      expect(await names(61_000)).toEqual(['1 long 1', '1 now 95', '1 short 1']);
    });

    test('a run ends where it is asked for, whatever came later in the window', async () => {
      const host = newHost();
      await store.append({
        snapshots: [90, 90, 1, 90].map((cpu, k) =>
          makeSnapshot({ host, time: t + k * 10_000, processes: [{ name: 'p', cpu }] }),
        ),
      });
      const series = processSeries('cpuMax', host, 'p');
      const query = { series, red: 80, clear: 80, forMs: 0, holdMs: 0, gapMs: 30_000 };
      const untils = [10_000, 20_000, 30_000].map((ms) => ({ ...query, until: t + ms }));
      const runs = await findRuns(store, untils, { from: t - 1, to: t + 60_000 });
      expect(runs.map(({ since }) => since)).toEqual([t, null, t + 30_000]);
    });

    test('the newest of a host is what is placed last by the server, not by its own clock', async () => {
      const [right, behind, ahead, setBack] = [newHost(), newHost(), newHost(), newHost()];
      const at = (host: string, placed: number, skew: number) =>
        makeSnapshot({
          host,
          time: t + placed + skew * 1000,
          metrics: { 'system.cpu': 10, ...(skew !== 0 && { 'collector.clockSkewSeconds': skew }) },
        });
      for (let placed = 0; placed <= 120_000; placed += 10_000) {
        await store.append({
          snapshots: [
            at(right, placed, 0),
            at(behind, placed, -45),
            at(ahead, placed, 60),
            // Right until it is set back by half an hour.
            at(setBack, placed, placed < 60_000 ? 0 : -1800),
          ],
        });
      }
      for (const ms of [0, 30_000, 55_000, 65_000, 119_999, 120_000]) {
        const newest = Math.floor(ms / 10_000) * 10_000;
        const found = new Map((await store.latest(t + ms)).map((header) => [header.host, header]));
        expect(
          [right, behind, ahead, setBack].map((host) => (found.get(host)?.time ?? 0) - t),
          `${ms} ms`,
        ).toEqual([newest, newest - 45_000, newest + 60_000, newest < 60_000 ? newest : newest - 1_800_000]);
        expect(found.get(behind)?.metrics['collector.clockSkewSeconds']).toBe(-45);
      }
    });

    test('an address is the snapshots that carried it', async () => {
      const [moved, stayed] = [newHost(), newHost()];
      const put = (host: string, k: number, ip: string | null, cpu: number) =>
        makeSnapshot({ host, ip, time: t + k * 10_000, processes: [{ name: 'p', cpu }, { name: `of-${ip}` }] });
      const [old, now, none] = [`10.1.${t % 200}.1`, `10.1.${t % 200}.2`, '10.200.0.9'];
      await store.append({
        snapshots: [
          ...[0, 1, 2].map((k) => put(moved, k, old, 10)),
          ...[3, 4, 5].map((k) => put(moved, k, now, 30)),
          put(moved, 6, old, 50),
          ...[0, 1, 2, 3, 4, 5, 6].map((k) => put(stayed, k, now, 100)),
        ],
      });
      const window = { from: t - 1, to: t + 60_000 };
      const meanOf = async (filter: UsageFilter, given = window) => {
        const row = (await store.means({ ...given, ...filter })).find(({ name }) => name === 'p');
        return row && [row.cpu, row.snapshots, row.hosts];
      };
      expect(await meanOf({ ip: old })).toEqual([20, 4, 1]);
      expect(await meanOf({ ip: now })).toEqual([79, 10, 2]);
      expect(await meanOf({ ip: now, hosts: [moved] })).toEqual([30, 3, 1]);
      expect(await meanOf({ ip: now, process: 'p' }, { from: t + 25_000, to: t + 50_000 })).toEqual([65, 6, 2]);
      expect(await meanOf({ ip: none })).toBeUndefined();
      expect(await meanOf({ ip: old, hosts: [stayed] })).toBeUndefined();
      const names = (await store.means({ ...window, ip: old })).map(({ name }) => name).sort();
      expect(names).toEqual([`of-${old}`, 'p']);
      const rows = tableRows(await store.page({ ...window, ip: old, process: 'p', limit: 3, skip: 0 }));
      expect(rows.map((row) => row.time - t)).toEqual([0, 10_000, 20_000]);
      const rest = tableRows(await store.page({ ...window, ip: old, process: 'p', limit: 3, skip: 3 }));
      expect(rest.map((row) => [row.host, row.time - t])).toEqual([[moved, 60_000]]);
    });

    test('a hole ends a run', async () => {
      const host = newHost();
      await store.append({
        snapshots: [0, 10, 20, 70, 80].map((s) =>
          makeSnapshot({ host, time: t + s * 1000, processes: [{ name: 'p', cpu: 90 }] }),
        ),
      });
      const series = processSeries('cpuMax', host, 'p');
      const runs = await findRuns(
        store,
        [
          { series, red: 80, clear: 80, forMs: 0, holdMs: 0, gapMs: 30_000, until: t + 90_000 },
          { series, red: 80, clear: 80, forMs: 0, holdMs: 0, gapMs: 60_000, until: t + 90_000 },
        ],
        { from: t - 1, to: t + 90_000 },
      );
      expect(runs.map(({ since }) => since)).toEqual([t + 70_000, t]);
    });

    test('many runs at once, over every metric', async () => {
      const host = newHost();
      const names = Array.from({ length: 300 }, (_, i) => `p${i}`);
      await store.append({
        snapshots: [0, 10_000].map((ms) =>
          makeSnapshot({
            host,
            time: t + ms,
            processes: names.map((name, i) => ({ name, cpu: ms === 0 && i % 2 ? 1 : 90, memory: 85 })),
          }),
        ),
      });
      const queries = names.flatMap((process) =>
        (['cpu', 'cpuMax', 'memory', 'memoryMax'] as const).map((metric) => ({
          series: processSeries(metric, host, process),
          red: 80,
          clear: 80,
          forMs: 0,
          holdMs: 0,
          gapMs: 30_000,
          until: t + 10_000,
        })),
      );
      const runs = await findRuns(store, queries, { from: t - 1, to: t + 10_000 });
      expect(runs.map(({ since }) => since)).toEqual(
        names.flatMap((_, i) => {
          const cpu = i % 2 ? t + 10_000 : t;
          return [cpu, cpu, t, t];
        }),
      );
    });

    test('many writers at once lose nothing', async () => {
      const hosts = Array.from({ length: 20 }, newHost);
      const writes = hosts.flatMap((host) =>
        Array.from({ length: 10 }, (_, i) =>
          store.append({
            snapshots: [
              makeSnapshot({ host, time: t + i * 1000, processes: [{ name: 'w' }, { name: `${host}-own` }] }),
            ],
          }),
        ),
      );
      await Promise.all(writes);
      const mean = await store.means({ from: t - 1, to: t + hour, hosts, process: 'w' });
      expect(mean[0]).toMatchObject({ hosts: 20, snapshots: 200 });
    });

    test('a snapshot with 5,000 names is stored whole', async () => {
      const host = newHost();
      const processes = Array.from({ length: 5000 }, (_, i) => ({ name: `proc ${i}`, cpu: i % 7 ? i / 100 : null }));
      await store.append({ snapshots: [makeSnapshot({ host, time: t, processes })] });
      const rows = await store.rows([{ host, time: t }]);
      expect(rows).toHaveLength(5000);
      expect(rows.find((row) => row.name === 'proc 4999')?.cpu).toBe(49.99);
      expect(rows.find((row) => row.name === 'proc 7')?.cpu).toBeNull();
    });

    test('means over regular steps, each with the points from its start to before its end', async () => {
      const host = newHost();
      const start = Math.floor(t / 60_000) * 60_000;
      const values = [10, 20, null, 60, 0, 5];
      const times = [0, 59_000, 61_000, 120_000, 179_999, 300_000].map((offset) => start + offset);
      await store.append({
        snapshots: times.map((time, k) =>
          makeSnapshot({
            host,
            time,
            metrics: { 'system.cpu': k },
            processes: [{ name: "it's", cpu: 99, cpuMax: values[k] ?? null }, { name: 'other' }],
          }),
        ),
      });
      const series = [
        processSeries('cpuMax', host, "it's"),
        hostSeries('system.cpu', host),
        processSeries('cpuMax', host, 'nobody'),
      ];
      const query = { from: start - 1, to: start + hour, series, stepMs: 60_000 };
      const means = (await store.select(query)).map(({ samples }) => samples);
      const steps = (pairs: [number, number][]) => pairs.map(([k, value]) => ({ time: start + k * 60_000, value }));
      expect(means).toEqual([
        steps([
          [0, 15],
          [2, 30],
          [5, 5],
        ]),
        steps([
          [0, 0.5],
          [1, 2],
          [2, 3.5],
          [5, 5],
        ]),
        [],
      ]);
    });

    describe('statistics', () => {
      /** Two hosts, three names, with holes: what was put in, by series. */
      async function put(hosts: readonly string[], steps: number) {
        const values = new Map<string, number[]>();
        const loads = new Map<string, number[]>();
        for (let k = 0; k < steps; k++)
          for (const [h, host] of hosts.entries()) {
            // Far from zero, and close together: what a sum of squares cannot tell apart.
            const cpuOf = (n: number) =>
              n === 0 ? 900_000 + ((k * 7 + h) % 5) / 1000 : ((k * (n + 3) + h) % 977) / 10;
            const processes = ['a', 'b', 'c'].map((name, n) => ({
              name,
              cpu: (k + n) % 11 === 0 ? null : cpuOf(n),
              memory: n,
              threads: n === 2 ? null : k % 7,
            }));
            const time = t - (steps - 1 - k) * 10_000;
            await store.append({
              snapshots: [makeSnapshot({ host, time, processes, metrics: { 'system.load1': k } })],
            });
            for (const { name, cpu } of processes)
              if (cpu !== null) values.set(`${host} ${name}`, [...(values.get(`${host} ${name}`) ?? []), cpu]);
            loads.set(host, [...(loads.get(host) ?? []), k]);
          }
        return { values, loads, window: { from: t - steps * 10_000, to: t } };
      }

      /** As anybody would write it down. */
      function plain(values: readonly number[]) {
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
        const sorted = values.toSorted((a, b) => a - b);
        const at = (share: number) => {
          const place = share * (sorted.length - 1);
          const [low, high] = [sorted[Math.floor(place)] as number, sorted[Math.ceil(place)] as number];
          return low + (high - low) * (place % 1);
        };
        return {
          count: values.length,
          min: sorted[0],
          max: sorted.at(-1),
          mean,
          deviation: Math.sqrt(squares / values.length),
          percentiles: { p50: at(0.5), p95: at(0.95), p99: at(0.99) },
        };
      }

      const close = (expected: object): object =>
        Object.fromEntries(
          Object.entries(expected).map(([name, value]) => [
            name,
            typeof value === 'number' ? expect.closeTo(value, name === 'deviation' ? 8 : 9) : close(value),
          ]),
        );
      const ask = async (selector: string, window: { from: number; to: number }, by?: readonly string[]) => {
        const found = await store.statistics({ ...window, selector: parseSelector(selector), ...(by && { by }) });
        const keyed = found.statistics.map(({ labels, ...told }) => [Object.values(labels).join(' '), told] as const);
        return { error: found.percentileError, statistics: Object.fromEntries(keyed) };
      };

      test('of each series, and of those that have labels in common', async () => {
        const hosts = [newHost(), newHost()];
        const { values, loads, window } = await put(hosts, 60);
        const either = `host=~"${hosts.join('|')}"`;
        const all = (fits: (key: string) => boolean) =>
          [...values].filter(([key]) => fits(key)).flatMap(([, own]) => own);
        const each = await ask(`process_cpu{${either}}`, window);
        expect(each.error).toBe(0);
        expect(each.statistics).toEqual(Object.fromEntries([...values].map(([key, own]) => [key, close(plain(own))])));
        expect((await ask(`process_cpu{${either}}`, window, ['process'])).statistics).toEqual(
          Object.fromEntries(['a', 'b', 'c'].map((name) => [name, close(plain(all((key) => key.endsWith(name))))])),
        );
        expect((await ask(`process_cpu{${either},process!="a"}`, window, [])).statistics).toEqual({
          '': close(plain(all((key) => !key.endsWith('a')))),
        });
        expect((await ask(`system_load1{${either}}`, window, ['host'])).statistics).toEqual(
          Object.fromEntries([...loads].map(([host, own]) => [host, close(plain(own))])),
        );
        expect(Object.keys((await ask(`process_threads{host="${hosts[0]}"}`, window)).statistics)).toEqual(
          expect.arrayContaining([`${hosts[0]} a`, `${hosts[0]} b`]),
        );
        expect(Object.keys((await ask(`process_threads{host="${hosts[0]}"}`, window)).statistics)).toHaveLength(2);
      });

      test('of nothing there is nothing', async () => {
        const host = newHost();
        const { window } = await put([host], 3);
        const none = { error: 0, statistics: {} };
        expect(await ask('process_cpu{host="nobody"}', window)).toEqual(none);
        expect(await ask(`process_cpu{host="${host}",process="none"}`, window)).toEqual(none);
        expect(await ask(`process_cpu{host="${host}",rack="7"}`, window)).toEqual(none);
        expect(await ask(`system_load1{host="${host}",process="a"}`, window)).toEqual(none);
        expect(await ask(`process_cpu{host="${host}"}`, { from: t - 10 * hour, to: t - 9 * hour })).toEqual(none);
      });

      test('of another source', async () => {
        const host = newHost();
        const series = (k: number): Series => ({ metric: 'queue_depth', labels: { host, queue: `q${k}` } });
        const samples = Array.from(
          { length: 40 },
          (_, k): MetricSample => ({
            series: series(k % 2),
            kind: 'gauge',
            time: t - k * 1000,
            value: k,
            owner: host,
          }),
        );
        await store.append({ samples });
        const { statistics } = await ask(`queue_depth{host="${host}"}`, { from: t - 60_000, to: t }, ['queue']);
        const of = (k: number) =>
          samples.filter((each) => each.series.labels.queue === `q${k}`).map(({ value }) => value as number);
        expect(statistics).toEqual({ q0: close(plain(of(0))), q1: close(plain(of(1))) });
      });
    });

    test('finds the series with a value over a level', async () => {
      const host = newHost();
      const write = (offset: number, cpuMax: number, load: number) =>
        makeSnapshot({
          host,
          time: t + offset,
          metrics: { 'system.load1': load },
          processes: [
            { name: 'a', cpuMax },
            { name: 'b', cpuMax: 40 },
          ],
        });
      await store.append({ snapshots: [write(0, 90, 3), write(1000, 40.001, 0.5), write(2000, 10, 0.2)] });
      const of = async (metric: 'cpuMax' | 'system.load1', level: number, from: number, to: number) =>
        (await store.above(parseSelector(nameOf(metric)), level, { from: t + from, to: t + to })).filter(
          ({ labels }) => labels.host === host,
        );
      const nameOf = (metric: UsageMetric | HostMetric) =>
        (metric.includes('.') ? hostSeries(metric as HostMetric, '') : processSeries(metric as UsageMetric, '', ''))
          .metric;
      expect(await of('cpuMax', 40, 0, 2000)).toEqual([processSeries('cpuMax', host, 'a')]);
      expect(await of('cpuMax', 40, 1000, 2000)).toEqual([]);
      expect(await of('cpuMax', 39, -1, 0)).toHaveLength(2);
      expect(await of('system.load1', 0.4, 0, 1000)).toEqual([hostSeries('system.load1', host)]);
      expect(await of('system.load1', 0.5, 0, 1000)).toEqual([]);
    });

    test('keeps forecasts', async () => {
      const host = newHost();
      await store.append({
        snapshots: [makeSnapshot({ host, time: t, processes: [{ name: 'nginx' }, { name: "o'd" }] })],
      });
      const kept = [
        makeForecast({ host, time: t }),
        makeForecast({ host, time: t, process: "o'd", metric: 'memory', isMuted: true, reason: 'a "b", \\ c' }),
        makeForecast({
          host,
          time: t + 1,
          process: null,
          metric: 'system.cpu',
          probability: null,
          amberSince: null,
          notifySince: t,
          etaSeconds: null,
          intervalSeconds: null,
          reason: '',
        }),
      ];
      await store.append({ forecasts: kept });
      await store.append({ forecasts: [] });
      const window = { from: t - 1, to: t + 1 };
      const ofHost = [{ label: 'host', operator: '=', value: host }] as const;
      const found = await store.forecasts({ ...window, matchers: ofHost });
      expect(found).toHaveLength(3);
      expect(found).toEqual(expect.arrayContaining(kept));
      expect(found[2]).toEqual(kept[2]);
      expect(await store.forecasts({ ...window, from: t, matchers: ofHost })).toEqual([kept[2]]);
      expect(await store.forecasts({ ...window, series: kept[1]?.series as Series })).toEqual([kept[1]]);
      expect(await store.forecasts({ ...window, metrics: ['system_cpu'], matchers: ofHost })).toEqual([kept[2]]);
      expect(
        await store.forecasts({ ...window, metrics: ['process_cpu', 'process_cpu_max'], matchers: ofHost }),
      ).toEqual([kept[0]]);
      expect(
        await store.forecasts({ ...window, matchers: [{ label: 'host', operator: '=', value: 'nobody' }] }),
      ).toEqual([]);
    });

    test('sums up how right forecasts were, by series', async () => {
      const host = newHost();
      await store.append({
        snapshots: [makeSnapshot({ host, time: t, processes: [{ name: 'nginx' }, { name: "o'd" }] })],
      });
      const hourOf = (process: string | null, hours: number, given: Partial<Tally>, isMuted = false): HourTally => {
        const series = makeSeries({ host, process, metric: process === null ? 'system.cpu' : 'cpu' });
        return { series, time: t + hours * 60_000, isMuted, tally: { ...emptyTally(), ...given } };
      };
      const ofHour = (hours: number) => ({ from: t + hours * 60_000 - 1, to: t + hours * 60_000 });
      await store.append({
        accuracy: { hours: ofHour(0), tallies: [hourOf('nginx', 0, { predictions: 7, alarms: 7 })] },
      });
      await store.append({
        accuracy: {
          hours: ofHour(0),
          tallies: [
            hourOf('nginx', 0, { predictions: 60, squaredError: 0.25, leadsMs: [60_000, 120_000] }),
            hourOf("o'd", 0, { predictions: 1 }),
          ],
        },
      });
      await store.append({
        accuracy: {
          hours: ofHour(1),
          tallies: [
            hourOf('nginx', 1, { predictions: 59, squaredError: 0.5, leadsMs: [180_000] }, true),
            hourOf(null, 1, { alarms: 2 }),
          ],
        },
      });
      await store.append({ accuracy: { hours: ofHour(9), tallies: [] } });
      const window = { from: t - 1, to: t + 60_000 };
      const of = (process: string | null) => ({
        series: makeSeries({ host, process, metric: process === null ? 'system.cpu' : 'cpu' }),
      });
      const nginx = await store.tallies({ ...window, ...of('nginx') });
      expect(nginx).toHaveLength(1);
      expect(nginx[0]).toMatchObject({ ...of('nginx'), time: t + 60_000, isMuted: true });
      const [sum] = nginx;
      expect({ ...sum?.tally, leadsMs: sum?.tally.leadsMs.toSorted((a, b) => a - b) }).toEqual({
        ...emptyTally(),
        predictions: 119,
        squaredError: 0.75,
        leadsMs: [60_000, 120_000, 180_000],
      });
      const matchers = [{ label: 'host', operator: '=', value: host }] as const;
      const all = await store.tallies({ ...window, matchers });
      expect(all.map(({ series }) => subjectOf(series).process).sort()).toEqual(['nginx', "o'd", null].sort());
      expect(await store.tallies({ ...window, ...of(null) })).toMatchObject([{ tally: { alarms: 2 } }]);
      expect(await store.tallies({ from: t, to: t + 60_000, ...of('nginx') })).toMatchObject([
        { tally: { predictions: 59 } },
      ]);
      expect(await store.tallies({ ...window, ...of('nobody') })).toEqual([]);
    });

    describe('samples of other sources', () => {
      const gauge = (
        labels: Record<string, string>,
        time: number,
        value: MetricSample['value'],
        metric = 'queue_length',
      ): MetricSample => ({
        series: { metric, labels },
        kind: 'gauge',
        time,
        value,
        owner: labels.host === undefined ? `source ${labels.source}` : `host ${labels.host}`,
      });
      const within = (from: number, to: number) => ({ from: t + from, to: t + to });
      const raw = async (series: readonly Series[] | Selector, from = -1, to = 600_000) =>
        (await store.select({ ...within(from, to), series, stepMs: null })).map((each) => [
          seriesKey(each.series),
          each.samples.map(({ time, value }) => [time - t, value]),
        ]);

      test('are kept exactly, each once, by key', async () => {
        const host = newHost();
        const labels = { host, a: 'it\'s "x"\n\\', b: '\ufeff日本' };
        const values = [0, -0.1, 1e300, 1 / 3, Number.MAX_SAFE_INTEGER];
        const samples = values.map((value, k) => gauge(labels, t + k * 1000, value));
        expect(await store.append({ samples })).toEqual({ refused: [], beyondBudget: [] });
        await store.append({ samples: [samples[2] as MetricSample, gauge({ host }, t, 7)] });
        const points = values.map((value, k) => [k * 1000, value]);
        const key = seriesKey({ metric: 'queue_length', labels });
        expect(await raw(parseSelector(`queue_length{host="${host}"}`))).toEqual([
          [key, points],
          [seriesKey({ metric: 'queue_length', labels: { host } }), [[0, 7]]],
        ]);
        expect(await raw([{ metric: 'queue_length', labels }], 0, 2000)).toEqual([[key, points.slice(1, 3)]]);
        expect(await raw([{ metric: 'queue_length', labels: { host, a: 'other' } }])).toEqual([
          [expect.any(String), []],
        ]);
      });

      test('selectors name them, and processes and hosts', async () => {
        const host = newHost();
        const names = ['java-1', 'java-2', 'nginx'];
        const processes = names.map((name, k) => ({ name, cpu: 10 * (k + 1) }));
        await store.append({
          snapshots: [0, 10_000].map((ms) =>
            makeSnapshot({ host, time: t + ms, processes, metrics: { 'system.cpu': 3 } }),
          ),
          samples: names.map((name, k) => gauge({ host, name }, t, k)),
        });
        const named = async (text: string) => {
          const query = { ...within(-1, 60_000), series: parseSelector(text), stepMs: 3_600_000 };
          return (await store.select(query)).map(({ series, samples }) => [
            series.labels.process ?? series.labels.name ?? series.metric,
            samples.map(({ value }) => value),
          ]);
        };
        const of = `host="${host}"`;
        expect(await named(`process_cpu{${of},process=~"java.*"}`)).toEqual([
          ['java-1', [10]],
          ['java-2', [20]],
        ]);
        expect(await named(`process_cpu{${of},process!~"java.*"}`)).toEqual([['nginx', [30]]]);
        expect(await named(`process_count{${of},process="nginx"}`)).toEqual([['nginx', [1]]]);
        expect(await named(`system_cpu{host=~"${host}|nobody"}`)).toEqual([['system_cpu', [3]]]);
        expect(await named(`queue_length{${of},name=~".*a.*"}`)).toEqual([
          ['java-1', [0]],
          ['java-2', [1]],
        ]);
        expect(await named(`queue_length{${of},name!=""}`)).toHaveLength(3);
        expect(await named(`queue_length{${of},name=""}`)).toEqual([]);
        expect(await named(`process_cpu{${of},other="x"}`)).toEqual([]);
        expect(await named(`nothing_of_that_name{${of}}`)).toEqual([]);
      });

      test('a selector that says which series names it where it is there, with a value or without', async () => {
        const host = newHost();
        const dark = { name: 'dark', cpu: null };
        await store.append({
          snapshots: [
            makeSnapshot({ host, time: t, processes: [{ name: 'early', cpu: 5 }, dark] }),
            makeSnapshot({ host, time: t + 10_000, processes: [dark] }),
          ],
        });
        for (const stepMs of [null, 60_000]) {
          const named = async (text: string, from: number) => {
            const query = { ...within(from, 60_000), series: parseSelector(text), stepMs };
            return (await store.select(query)).map(({ series, samples }) => [
              series.labels.process ?? series.metric,
              samples.filter(({ value }) => typeof value === 'number').map(({ value }) => value),
            ]);
          };
          const of = `host="${host}"`;
          expect(await named(`process_cpu{${of},process="early"}`, -1)).toEqual([['early', [5]]]);
          expect(await named(`process_cpu{${of},process="early"}`, 0)).toEqual([]);
          expect(await named(`process_cpu{${of},process="early",process!~"e.*"}`, -1)).toEqual([]);
          expect(await named(`process_cpu{${of},process="dark"}`, -1)).toEqual([['dark', []]]);
          expect(await named(`process_cpu{${of},process="never"}`, -1)).toEqual([]);
          expect(await named(`system_load1{${of}}`, -1)).toEqual([['system_load1', []]]);
          expect(await named(`system_load1{${of}}`, 20_000)).toEqual([]);
        }
      });

      test('over steps: mean, least and most', async () => {
        const host = newHost();
        const start = Math.floor(t / 60_000) * 60_000;
        const at = [0, 59_999, 60_000, 200_000];
        await store.append({
          samples: at.map((ms, k) => gauge({ host }, start + ms, [4, 8, -1, 5][k] as number)),
          snapshots: at.map((ms, k) =>
            makeSnapshot({ host, time: start + ms, processes: [{ name: 'p', cpu: [4, 8, 1, 5][k] as number }] }),
          ),
        });
        const series = [{ metric: 'queue_length', labels: { host } }, processSeries('cpu', host, 'p')];
        const steps = async (aggregate: 'mean' | 'min' | 'max') =>
          (await store.select({ from: start - 1, to: start + hour, series, stepMs: 60_000, aggregate })).map(
            ({ samples }) => samples.map(({ time, value }) => [(time - start) / 60_000, value]),
          );
        const both = (of: [number, number][], process: [number, number][]) => [of, process];
        expect(await steps('mean')).toEqual(
          both(
            [
              [0, 6],
              [1, -1],
              [3, 5],
            ],
            [
              [0, 6],
              [1, 1],
              [3, 5],
            ],
          ),
        );
        expect(await steps('min')).toEqual(
          both(
            [
              [0, 4],
              [1, -1],
              [3, 5],
            ],
            [
              [0, 4],
              [1, 1],
              [3, 5],
            ],
          ),
        );
        expect(await steps('max')).toEqual(
          both(
            [
              [0, 8],
              [1, -1],
              [3, 5],
            ],
            [
              [0, 8],
              [1, 1],
              [3, 5],
            ],
          ),
        );
      });

      test('of a counter the rates, also of the first in the window', async () => {
        const host = newHost();
        const samples = [100, 110, 5, 25].map(
          (value, k): MetricSample => ({ ...gauge({ host }, t + k * 10_000, value, 'done_total'), kind: 'counter' }),
        );
        await store.append({ samples });
        const series = [{ metric: 'done_total', labels: { host } }];
        expect((await raw(series))[0]?.[1]).toEqual([
          [10_000, 1],
          [20_000, 0.5],
          [30_000, 2],
        ]);
        expect((await raw(series, 10_000))[0]?.[1]).toEqual([
          [20_000, 0.5],
          [30_000, 2],
        ]);
      });

      test('where a series has ended is told of the samples, and is no value of anything else', async () => {
        const host = newHost();
        const metric = `ended_${host.replaceAll('-', '_')}`;
        const of = (ms: number, value: MetricSample['value'], kind: MetricSample['kind']): MetricSample => ({
          ...gauge({ host, kind }, t + ms, value, metric),
          kind,
        });
        const samples = (['gauge', 'counter'] as const).flatMap((kind) => [
          of(0, 10, kind),
          of(1000, 20, kind),
          of(2000, 'exited', kind),
          of(4000, 50, kind),
        ]);
        await store.append({ samples });
        await store.append({ samples });
        const read = async (stepMs: number | null, aggregate?: Aggregate) => {
          const series = { metric, matchers: [] };
          const found = await store.select({
            from: t - 1,
            to: t + 5000,
            series,
            stepMs,
            ...(aggregate && { aggregate }),
          });
          return found.map(({ samples }) => samples.map(({ time, value }) => [time - t, value]));
        };
        expect(await read(null)).toEqual([
          [
            [1000, 10],
            [2000, 'exited'],
            [4000, 10],
          ],
          [
            [0, 10],
            [1000, 20],
            [2000, 'exited'],
            [4000, 50],
          ],
        ]);
        expect((await read(10_000, 'max')).map((each) => each.map(([, value]) => value))).toEqual([[10], [50]]);
        expect((await read(10_000, 'mean'))[1]?.[0]?.[1]).toBeCloseTo(80 / 3, 9);
        const above = (level: number) =>
          store.above({ metric, matchers: [] }, level, { from: t - 1, to: t + 5000 }).then((found) => found.length);
        expect([await above(9), await above(15), await above(50)]).toEqual([2, 1, 0]);
      });

      test('what an engine makes of them itself is what is made of the samples', async () => {
        const value = fc.oneof(fc.constantFrom(70, 80, 81, 90), fc.integer({ min: 0, max: 100 }));
        const end = fc.constant('exited' as const);
        const step = fc.record({
          ms: fc.constantFrom(1000, 10_000, 10_000, 31_000),
          value: fc.oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: end }),
        });
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
            const host = newHost();
            let [time, total] = [t, 0];
            const samples = steps.flatMap(({ ms, value }): MetricSample[] => {
              time += ms;
              if (value !== 'exited') total = value % 7 === 0 ? value : total + (value * ms) / 1000;
              const counted = value === 'exited' ? value : total;
              return [gauge({ host }, time, value), { ...gauge({ host, k: 'c' }, time, counted), kind: 'counter' }];
            });
            await store.append({ samples });
            const levels = { red: 80, clear: 75, gapMs: 30_000, until: time };
            const series = [{ host }, { host, k: 'c' }].map((labels) => ({ metric: 'queue_length', labels }));
            const window = { from: t - 1, to: time };
            const plain = await store.select({ ...window, series, stepMs: null });
            const queries = series.map((each) => ({ ...levels, series: each, forMs: 0, holdMs: 20_000 }));
            expect(await findRuns(store, queries, window)).toEqual(
              queries.map((query, k) => runOf(stretchesOf(plain[k]?.samples ?? [], query), query)),
            );
            const steps10 = await store.select({ ...window, series, stepMs: 10_000, aggregate: 'max' });
            for (const [k, { samples: found }] of steps10.entries())
              expect(found).toEqual(byStep((plain[k]?.samples ?? []).filter(isKnown), 10_000, 'max'));
          }),
          { numRuns: 25 },
        );
      });

      test('more steps of more series than one answer may have are refused before they are read', async () => {
        const host = newHost();
        await store.append({ samples: [gauge({ host, n: 'a' }, t, 1), gauge({ host, n: 'b' }, t, 1)] });
        const query = { series: parseSelector(`queue_length{host="${host}"}`), stepMs: 1000 };
        await expect(store.select({ ...query, from: t - 150_000_000, to: t })).rejects.toThrow(
          /the selector names 2 series, and that is up to 300000 points, where at most 200000 are given/,
        );
      });

      test('above a level, within the window', async () => {
        const host = newHost();
        const metric = `depth_${host.replaceAll('-', '_')}`;
        const of = (n: string, ms: number, value: number) => gauge({ host, n }, t + ms, value, metric);
        await store.append({ samples: [of('a', 0, 90), of('a', 1000, 10), of('b', 0, 40), of('b', 2000, 41)] });
        const counted = (ms: number, value: number): MetricSample => ({ ...of('c', ms, value), kind: 'counter' });
        await store.append({ samples: [counted(-1000, 1), counted(500, 100), counted(1500, 101)] });
        const above = async (level: number, from: number, to: number) =>
          (await store.above(parseSelector(`${metric}{host="${host}"}`), level, within(from, to)))
            .map(({ labels }) => labels.n)
            .sort();
        expect(await above(40, -1, 600)).toEqual(['a', 'c']);
        expect(await above(40, 600, 2000)).toEqual(['b']);
        expect(await above(41, -1, 2000)).toEqual(['a', 'c']);
        expect(await above(0.5, 600, 2000)).toEqual(['a', 'b', 'c']);
        expect(await store.above(parseSelector(`${metric}{n=~"b|x"}`), 40, within(-1, 2000))).toMatchObject([
          { labels: { n: 'b' } },
        ]);
      });

      test('have forecasts and sums like any other series', async () => {
        const series = { metric: 'queue_length', labels: { host: newHost(), q: 'x"y' } };
        const none = { metric: 'queue_length', labels: { q: newHost() } };
        const kept = [makeForecast({ time: t }), makeForecast({ time: t })].map((each, k) => ({
          ...each,
          series: k ? none : series,
        }));
        await store.append({ forecasts: kept });
        const window = { from: t - 1, to: t };
        expect(await store.forecasts({ ...window, series })).toEqual([kept[0]]);
        const matchers = [
          { label: 'host', operator: '=', value: '' },
          { label: 'q', operator: '=', value: none.labels.q },
        ] as const;
        expect(await store.forecasts({ ...window, matchers })).toEqual([kept[1]]);
        expect(await store.forecasts({ ...window, series, metrics: ['process_cpu'] })).toEqual([]);
        const tally = { ...emptyTally(), predictions: 3 };
        await store.append({ accuracy: { hours: window, tallies: [{ series, time: t, isMuted: false, tally }] } });
        expect(await store.tallies({ ...window, series })).toMatchObject([{ series, tally: { predictions: 3 } }]);
      });

      test('after a restart all is there, and a repeat is still recognised', async (context) => {
        if (!tested.durable) context.skip('kept in memory only');
        const host = newHost();
        const samples = [0, 1000, 2000].map((ms) => gauge({ host }, t + ms, ms));
        await store.append({ samples });
        await reopen();
        await store.append({ samples: [...samples.slice(1), gauge({ host }, t + 500, 5)] });
        expect((await raw([{ metric: 'queue_length', labels: { host } }]))[0]?.[1]).toEqual([
          [0, 0],
          [500, 5],
          [1000, 1000],
          [2000, 2000],
        ]);
      });

      test('new series beyond so many a day are not stored, and it is said; those there are go on', async () => {
        const warnings: string[] = [];
        await reopen({ newNamesPerDay: 3, warn: (message) => warnings.push(message) });
        const host = newHost();
        const of = (names: string[], ms: number) => names.map((n) => gauge({ host, n }, t + ms, 1));
        const first = await store.append({ samples: of(['a', 'b', 'c', 'd', 'e'], 0) });
        expect(first.beyondBudget.map(({ series }) => series.labels.n)).toEqual(['d', 'e']);
        const again = await store.append({ samples: [...of(['a', 'f'], 1000), gauge({ source: host }, t, 1)] });
        expect(again.beyondBudget.map(({ series }) => series.labels.n)).toEqual(['f']);
        expect(warnings).toEqual([
          expect.stringMatching(new RegExp(`^host ${host} has sent more than 3 new series today`)),
        ]);
        expect((await raw(parseSelector(`queue_length{host="${host}"}`))).map(([, points]) => points?.length)).toEqual([
          2, 1, 1,
        ]);
        if (tested.durable) {
          await reopen({ newNamesPerDay: 3 });
          expect((await store.append({ samples: of(['a', 'g'], 2000) })).beyondBudget).toHaveLength(1);
        }
        await reopen();
      });
    });

    test('a read that is cancelled ends with the reason, and others go on', async (context) => {
      if (!tested.durable) context.skip('kept in memory only');
      const cancelled = new AbortController();
      const reading = store.means({ from: 0, to: t }, { signal: cancelled.signal });
      cancelled.abort(new Error('enough'));
      await expect(reading).rejects.toThrow('enough');
      await expect(store.latest(t, { signal: cancelled.signal })).rejects.toThrow('enough');
      await expect(store.means({ from: 0, to: t })).resolves.toBeDefined();
    });

    test('is ready', () => expect(store.ping()).resolves.toBeUndefined());

    test('after a restart all is there and a repeat is still recognised', async (context) => {
      if (!tested.durable) context.skip('kept in memory only');
      const host = newHost();
      const snapshots = [0, 10, 20].map((s) => makeSnapshot({ host, time: t + s * 1000 }));
      await store.append({ snapshots: snapshots });
      const before = await store.means({ from: t - 1, to: t + hour, hosts: [host] });
      await store.close();
      store = await tested.open();
      await store.append({ snapshots: snapshots });
      expect(await store.means({ from: t - 1, to: t + hour, hosts: [host] })).toEqual(before);
    });

    test('after a restart every name is there, also those that came while another group was written', async (context) => {
      if (!tested.durable) context.skip('kept in memory only');
      const host = newHost();
      const writes = Array.from({ length: 200 }, async (_, i) => {
        await new Promise((resolve) => setTimeout(resolve, i / 4));
        await store.append({
          snapshots: [makeSnapshot({ host, time: t + i, processes: [{ name: `${host} only ${i}` }] })],
        });
      });
      await Promise.all(writes);
      await store.close();
      store = await tested.open();
      const rows = tableRows(await store.page({ from: t - 1, to: t + 1000, hosts: [host], limit: 1000, skip: 0 }));
      expect(rows.map((row) => row.name)).toEqual(writes.map((_, i) => `${host} only ${i}`));
    });

    test('new names of a host beyond so many a day are counted together, also after a restart', async () => {
      const [host, other] = [newHost(), newHost()];
      const said: string[] = [];
      const time = { now: tested.now };
      const limited = { newNamesPerDay: 10, warn: (text: string) => said.push(text), now: () => time.now };
      const named = (...names: string[]) => names.map((name) => ({ name: `${host} ${name}`, memory: 1, rssBytes: 5 }));
      const known = named('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
      const rowsAt = async (at: number) =>
        (await store.rows([{ host, time: at }])).map(({ name, count }) => `${name.replace(`${host} `, '')} ${count}`);
      await reopen(limited);
      await store.append({ snapshots: [makeSnapshot({ host, time: t, processes: known })] });
      const more = [...known, ...named('i', 'j', 'k', 'l', 'm'), { name: '__other__', memory: 1, rssBytes: 5 }];
      const folded = makeSnapshot({ host, time: t + 1000, processes: more });
      await store.append({ snapshots: [folded] });
      expect((await rowsAt(t + 1000)).sort()).toEqual(
        [...'abcdefghij']
          .map((name) => `${name} 1`)
          .concat('__other__ 4')
          .sort(),
      );
      const [sum] = (await store.rows([{ host, time: t + 1000 }])).filter(({ name }) => name === '__other__');
      expect(sum).toMatchObject({ memory: 4, memoryMax: 1, rssBytes: 20, pid: null });
      expect(folded.metrics).toMatchObject({ 'collector.foldedNames': 3, 'collector.foldedSinceMs': tested.now });
      expect((await store.latest(t + 1000)).find((header) => header.host === host)?.metrics).toEqual(folded.metrics);
      await store.append({
        snapshots: [makeSnapshot({ host: other, time: t, processes: [{ name: `${other} own` }] })],
      });
      expect((await store.rows([{ host: other, time: t }])).map(({ name }) => name)).toEqual([`${other} own`]);
      if (tested.durable) await reopen(limited);
      await store.append({
        snapshots: [makeSnapshot({ host, time: t + 2000, processes: [...known.slice(0, 1), ...named('n')] })],
      });
      expect((await rowsAt(t + 2000)).sort()).toEqual(['__other__ 1', 'a 1']);
      expect(said.every((text) => text.includes(`${host} has sent more than 10 new process names today`))).toBe(true);
      expect(said).toHaveLength(tested.durable ? 2 : 1);
      time.now += 24 * hour;
      await store.append({ snapshots: [makeSnapshot({ host, time: t + 3000, processes: named('n') })] });
      expect(await rowsAt(t + 3000)).toEqual(['n 1']);
      await reopen();
    });

    test('forgets what is older than the retention, names included', async (context) => {
      if (!tested.expires) context.skip('the engine expires by itself');
      const host = newHost();
      const old = tested.now - 49 * hour;
      await store.append({
        snapshots: [makeSnapshot({ host, time: old, processes: [{ name: 'gone' }] }), makeSnapshot({ host, time: t })],
      });
      await store.append({ forecasts: [makeForecast({ host, time: old }), makeForecast({ host, time: t })] });
      await store.expire(tested.now);
      expect(
        (await store.forecasts({ from: 0, to: tested.now, series: makeSeries({ host }) })).map(({ time }) => time),
      ).toEqual([t]);
      const rows = tableRows(await store.page({ from: 0, to: tested.now, hosts: [host], limit: 10, skip: 0 }));
      expect(rows.map((row) => row.time)).toEqual([t]);
    });

    test('forgets samples too, and series that have none any more come back with the next', async (context) => {
      if (!tested.expires) context.skip('the engine expires by itself');
      const host = newHost();
      const sample = (n: string, time: number): MetricSample => ({
        series: { metric: 'queue_length', labels: { host, n } },
        kind: 'gauge',
        time,
        value: 1,
        owner: `host ${host}`,
      });
      const old = tested.now - 49 * hour;
      await store.append({ samples: [sample('gone', old), sample('kept', old), sample('kept', t)] });
      await store.expire(tested.now);
      const all = async () =>
        (
          await store.select({
            from: 0,
            to: tested.now,
            series: parseSelector(`queue_length{host="${host}"}`),
            stepMs: null,
          })
        ).map(({ series, samples }) => [series.labels.n, samples.length]);
      expect(await all()).toEqual([['kept', 1]]);
      await store.append({ samples: [sample('gone', t), sample('kept', t + 1), sample('kept', t)] });
      expect(await all()).toEqual([
        ['gone', 1],
        ['kept', 2],
      ]);
    });
  });
}
