import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { reasonOf } from '../../src/alarms/reason.ts';
import { MonitorError } from '../../src/core/error.ts';
import type { Forecast } from '../../src/core/forecast.ts';
import { readsWithin, type Store } from '../../src/core/store.ts';
import { parseThreshold } from '../../src/core/threshold.ts';
import { ForecastThread } from '../../src/forecast/forecast-worker-client.ts';
import { Forecaster } from '../../src/forecast/forecaster.ts';
import { openStore } from '../../src/store/open.ts';
import { retentionMs } from '../api/make-app.ts';
import { makeAlarmReader } from '../make-alarm-reader.ts';
import { makeSnapshot, noon, type UsageGiven } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { leak, safeSawtooth } from './synthetic-series.ts';

const minute = 60_000;
const closing: Forecaster[] = [];
afterEach(async () => {
  for (const forecaster of closing.splice(0)) await forecaster.close();
});

/** A host with one snapshot a minute, and a forecaster whose clock is set by hand. */
async function setUp(threshold = 'memory=80') {
  const store = await openStore('memory:', { retentionMs, warn: () => undefined });
  const time = { now: noon };
  let elapsed = 0;
  const clock = { now: () => time.now, monotonic: () => elapsed };
  const thresholds = [parseThreshold(threshold)];
  const start = (over: Partial<Store> = {}) => {
    const thread = new ForecastThread();
    const options = { clock, log: pino({ level: 'silent' }), thresholds, horizonMs: 10 * minute, thread };
    const forecaster = new Forecaster({ store: overStore(store, over), ...options });
    closing.push(forecaster);
    return forecaster;
  };
  /** The snapshot in the middle of minute `k`. */
  const put = (k: number, processes: UsageGiven[]) =>
    store.append({
      snapshots: [makeSnapshot({ time: noon + k * minute + minute / 2, intervalMs: minute, processes })],
    });
  /** Minute `k` is over. */
  const tick = (forecaster: Forecaster, k: number) => {
    time.now = noon + (k + 1) * minute + 4000;
    // The wall clock may be set back; this one never goes back.
    elapsed += minute;
    return forecaster.tick();
  };
  const kept = () => store.forecasts({ from: 0, to: Number.MAX_SAFE_INTEGER });
  const reader = makeAlarmReader(store, clock, thresholds);
  return { store, time, start, put, tick, kept, reader };
}

const climb = leak(400, 200) as number[];
const heap = safeSawtooth(400) as number[];
const processesAt = (k: number): UsageGiven[] => [
  { name: 'leaky', memory: climb[k] as number },
  { name: 'heap', memory: heap[k] as number },
  { name: 'small', memory: 12 },
];
const breach = climb.findIndex((value, k) => k > 200 && value > 80);
const of = (forecasts: Forecast[], name: string) => forecasts.filter(({ series }) => series.labels.process === name);

describe('the forecaster', () => {
  test('follows what may breach, and AMBER becomes RED as the same alarm', async () => {
    const { store, start, put, tick, kept, reader, time } = await setUp();
    for (let k = 0; k < 300; k++) await put(k, processesAt(k));
    const forecaster = start();
    for (let k = 300; k < breach + 3; k++) {
      await put(k, processesAt(k));
      await tick(forecaster, k);
    }
    const forecasts = await kept();
    expect(of(forecasts, 'small')).toEqual([]);
    expect(of(forecasts, 'heap').length).toBe(breach + 3 - 300);
    expect(of(forecasts, 'heap').every(({ amberSince }) => amberSince === null)).toBe(true);
    const first = of(forecasts, 'leaky').find(({ amberSince }) => amberSince !== null) as Forecast;
    expect(first.time).toBeLessThan(noon + (breach - 2) * minute);

    const amber = await reader.at(first.time + 1000, readsWithin(store, {}));
    expect(amber).toMatchObject({
      level: 'AMBER',
      alarms: [{ subject: { name: 'leaky' }, prediction: { notify: expect.any(Boolean) } }],
    });
    const red = await reader.now();
    expect(red).toMatchObject({ level: 'RED', alarms: [{ id: amber.alarms[0]?.id, leadSeconds: expect.any(Number) }] });
    expect(red.alarms[0]?.leadSeconds).toBeGreaterThanOrEqual(120);
    time.now += 3 * 60 * minute;
    expect((await reader.now()).alarms).toMatchObject([{ level: 'RED', state: 'stale' }]);
  });

  test.each<['gauge' | 'counter', string]>([
    ['gauge', 'queue_filled{}:red=80,hold=0'],
    ['counter', 'queue_filled{queue=~"m.*"}:red=80,hold=0'],
  ])('a %s of another source goes AMBER, RED as the same alarm, and back', async (kind, threshold) => {
    const { store, start, put, tick, reader, time } = await setUp(threshold);
    const series = { metric: 'queue_filled', labels: { source: 'mailer', queue: 'mail' } };
    let total = 0;
    const send = (k: number, value: number) => {
      total += value * 60;
      const sample = {
        series,
        kind,
        owner: 'source mailer',
        time: noon + k * minute + minute / 2,
        value: kind === 'gauge' ? value : total,
      };
      return store.append({ samples: [sample] });
    };
    for (let k = 0; k < 300; k++) {
      await put(k, [{ name: 'other' }]);
      await send(k, climb[k] as number);
    }
    const forecaster = start();
    const seen: string[] = [];
    let id: string | undefined;
    for (let k = 300; k < breach + 6; k++) {
      await put(k, [{ name: 'other' }]);
      await send(k, k < breach + 3 ? (climb[k] as number) : 5);
      await tick(forecaster, k);
      const { level, alarms } = await reader.at(time.now, readsWithin(store, {}));
      const mine = alarms.find(({ metric }) => metric === 'queue_filled');
      id ??= mine?.id;
      if (mine) expect(mine).toMatchObject({ id, host: 'mailer', subject: { kind: 'series' }, threshold: 80 });
      if (mine?.level === 'AMBER' && mine.prediction) expect(reasonOf(mine)).toMatch(/reaches 80|likely/);
      if (seen.at(-1) !== level) seen.push(level);
    }
    expect(seen).toEqual(['GREEN', 'AMBER', 'RED', 'GREEN']);
    expect((await store.forecasts({ from: 0, to: Number.MAX_SAFE_INTEGER, series })).length).toBeGreaterThan(50);
  });

  test('an AMBER of a host that falls silent stays as its last state', async () => {
    const { start, put, tick, reader, time } = await setUp();
    for (let k = 0; k < breach - 2; k++) await put(k, processesAt(k));
    await tick(start(), breach - 3);
    const before = await reader.now();
    expect(before.level).toBe('AMBER');
    time.now += 60 * minute;
    expect((await reader.now()).alarms).toMatchObject([{ id: before.alarms[0]?.id, level: 'AMBER', state: 'stale' }]);
  });

  test('started again in the middle it says the same', async () => {
    const { start, put, tick, kept } = await setUp();
    for (let k = 0; k < 300; k++) await put(k, processesAt(k));
    let forecaster = start();
    for (let k = 300; k < breach; k++) {
      await put(k, processesAt(k));
      if (k % 7 === 0) forecaster = start();
      await tick(forecaster, k);
    }
    const restarted = of(await kept(), 'leaky');
    const other = await setUp();
    for (let k = 0; k < 300; k++) await other.put(k, processesAt(k));
    const steady = other.start();
    for (let k = 300; k < breach; k++) {
      await other.put(k, processesAt(k));
      await other.tick(steady, k);
    }
    const uninterrupted = of(await other.kept(), 'leaky');
    expect(restarted.map(({ probability }) => probability)).toEqual(
      uninterrupted.map(({ probability }) => probability),
    );
    expect(restarted.at(-1)?.amberSince).toBeLessThanOrEqual(noon + (breach - 2) * minute);
  });

  test('started again within a step it does not say it twice', async () => {
    const { start, put, tick, kept } = await setUp();
    for (let k = 0; k < 300; k++) await put(k, processesAt(k));
    await tick(start(), 299);
    await tick(start(), 299);
    expect(of(await kept(), 'leaky')).toHaveLength(1);
  });

  test('steps it has missed are learnt from, and not told afterwards', async () => {
    const { start, put, tick, kept } = await setUp();
    for (let k = 0; k < 310; k++) await put(k, processesAt(k));
    const forecaster = start();
    await tick(forecaster, 300);
    await tick(forecaster, 309);
    await tick(forecaster, 309);
    expect(of(await kept(), 'leaky').map(({ time }) => (time - noon) / minute)).toEqual([301, 310]);
    expect(forecaster.figures.steps).toBe(10);
  });

  test('a clock that was set back, or a store that was away, makes it start anew', async () => {
    const { start, put, tick, kept } = await setUp();
    // What it keeps it does not find again.
    const { store: aside } = await setUp();
    for (let k = 0; k < 310; k++) await put(k, processesAt(k));
    let isAway = true;
    const forecaster = start({
      append: (records) => {
        if (isAway) throw new MonitorError('unavailable', 'away');
        return aside.append(records);
      },
    });
    await expect(tick(forecaster, 305)).rejects.toThrow('away');
    isAway = false;
    await tick(forecaster, 306);
    await tick(forecaster, 303);
    await tick(forecaster, 304);
    const times = of(await aside.forecasts({ from: 0, to: Number.MAX_SAFE_INTEGER }), 'leaky').map(
      ({ time }) => (time - noon) / minute,
    );
    expect(times).toEqual([304, 305, 307]);
    expect(await kept()).toEqual([]);
  });

  test('a process that has ended has no forecast any more', async () => {
    const { start, put, tick, kept } = await setUp();
    for (let k = 0; k < 310; k++) await put(k, k < 308 ? processesAt(k) : [{ name: 'small' }]);
    const forecaster = start();
    for (let k = 305; k < 310; k++) await tick(forecaster, k);
    expect(of(await kept(), 'leaky').map(({ time }) => (time - noon) / minute)).toEqual([306, 307, 308]);
  });

  test('values are in the unit of the threshold: of all cores, where that is asked for', async () => {
    const { start, put, tick, kept } = await setUp('cpu:red=50,basis=host');
    for (let k = 0; k < 100; k++)
      await put(k, [
        { name: 'busy', cpu: 240 },
        { name: 'calm', cpu: 80 },
      ]);
    await tick(start(), 99);
    expect(await kept()).toMatchObject([
      { series: { metric: 'process_cpu_max', labels: { process: 'busy' } }, value: 30, threshold: 50 },
    ]);
  });
});
