import { afterEach, expect, test } from 'vitest';
import { MonitorError } from '../../src/core/error.ts';
import type { MetricSample } from '../../src/core/sample.ts';
import { processSeries } from '../../src/core/series.ts';
import { readsWithin } from '../../src/core/store.ts';
import { parseThreshold } from '../../src/core/threshold.ts';
import { ForecastThread } from '../../src/forecast/forecast-worker-client.ts';
import { Forecaster } from '../../src/forecast/forecaster.ts';
import { SlaForecaster } from '../../src/sla/sla-forecaster.ts';
import { budgetMetric, budgetThreshold, SlaWatch } from '../../src/sla/sla-watch.ts';
import { Slas } from '../../src/sla/slas.ts';
import { openStore } from '../../src/store/open.ts';
import { leak } from '../forecast/synthetic-series.ts';
import { makeAlarmReader } from '../make-alarm-reader.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';

const minute = 60_000;
const closing: Forecaster[] = [];
afterEach(async () => {
  for (const forecaster of closing.splice(0)) await forecaster.close();
});

const rising = leak(400, 200) as number[];
const breach = rising.findIndex((value, k) => k > 200 && value > 80);

/** A host whose `leaky` rises to its end and whose `free` falls from it, and all that looks at SLAs. */
async function setUp() {
  const kept = await openStore('memory:', { retentionMs: 2 * 86_400_000, warn: () => undefined });
  const broken = { is: false };
  const store = overStore(kept, {
    async select(query, ...bounds) {
      const isOfRanges = query.stepMs === minute && 'metric' in query.series;
      if (broken.is && isOfRanges) throw new MonitorError('timeout', 'the store is slow');
      return kept.select(query, ...bounds);
    },
  });
  const time = { now: noon, elapsed: 0 };
  const clock = { now: () => time.now, monotonic: () => time.elapsed };
  const said: string[] = [];
  const log = { info: () => undefined, warn: (text: unknown) => said.push(String(text)), error: () => undefined };
  const slas = new Slas(undefined);
  const write = (samples: readonly MetricSample[]) => store.append({ samples });
  const watch = new SlaWatch({ store, slas, clock, log, write, everyMs: minute });
  const thread = new ForecastThread();
  const options = { store, clock, log, thread, stepMs: minute, horizonMs: 10 * minute };
  const slaForecaster = new SlaForecaster({ ...options, slas, watch });
  const forecaster = new Forecaster({ ...options, thresholds: [parseThreshold('memory=80')] });
  const thresholds = [parseThreshold('memory=80'), budgetThreshold];
  closing.push(forecaster);
  const put = (k: number) => {
    const memory = rising[k] as number;
    const processes = [
      { name: 'leaky', memory },
      { name: 'free', memory: 100 - memory },
    ];
    return store.append({
      snapshots: [makeSnapshot({ time: noon + k * minute + minute / 2, intervalMs: minute, processes })],
    });
  };
  /** Minute `k` with what is done at its end, in this order. */
  const live = async (k: number, order: ('forecaster' | 'slas')[] = ['forecaster', 'slas']) => {
    await put(k);
    time.now = noon + (k + 1) * minute - 1000;
    await watch.look();
    time.now += 5000;
    time.elapsed += minute;
    for (const each of order) await (each === 'slas' ? slaForecaster : forecaster).tick();
  };
  const outlook = (id: string) => slaForecaster.of(slas.get(id));
  return {
    store,
    broken,
    thread,
    time,
    slas,
    outlook,
    put,
    live,
    said,
    reader: makeAlarmReader(store, clock, thresholds),
  };
}

const definition = { objective: 99.5, windows: ['1h', '3h'] };
const start = breach - 25;

test('a violation is predicted at either end, as the forecaster predicts it, and is AMBER before it is RED', async () => {
  const { store, time, slas, outlook, put, live, reader } = await setUp();
  for (let k = 0; k < start; k++) await put(k);
  time.now = noon + start * minute;
  await slas.set('high', { ...definition, selector: 'process_memory_max{process="leaky"}', min: null, max: 80 }, noon);
  await slas.set('low', { ...definition, selector: 'process_memory_max{process="free"}', min: 20, max: 99 }, noon);
  const levels: string[] = [];
  for (let k = start; k < breach + 2; k++) {
    await live(k);
    const [high] = outlook('high')?.passings ?? [];
    const [above, below] = outlook('low')?.passings ?? [];
    const [forecast] = await store.forecasts({
      from: time.now - minute,
      to: time.now,
      series: processSeries('memoryMax', 'web-01', 'leaky'),
    });
    expect(high?.probability ?? null).toEqual(forecast?.probability ?? null);
    expect(below).toMatchObject({ side: 'below', limit: 20 });
    expect(below?.probability ?? 0).toBeCloseTo(high?.probability ?? 0, 2);
    expect(above?.probability ?? 0).toBeLessThan(0.1);
    const { alarms } = await reader.at(time.now, readsWithin(store, {}));
    const ofLow = alarms.filter(({ series }) => series?.labels.sla === 'low' && series.labels.window === '1h');
    levels.push(ofLow[0]?.level ?? '-');
    if (levels.at(-1) === 'AMBER' && levels.at(-2) === '-')
      expect(ofLow[0]).toMatchObject({
        threshold: 100,
        cause: { said: expect.stringMatching(/^process_memory_max\{.*free.*18s are left of the 1h budget$/) },
      });
  }
  expect(levels.join(' ')).toMatch(/^(- )+(AMBER ){3,}(RED ?)+$/);
});

test('an SLA on too many series, or on none, keeps no other from being predicted', async () => {
  const { store, time, slas, outlook, live } = await setUp();
  const processes = Array.from({ length: 101 }, (_, k) => ({ name: `p${k}`, memory: 1 }));
  await store.append({ snapshots: [makeSnapshot({ host: 'b', time: noon + minute / 2, processes })] });
  time.now = noon;
  await slas.set('all', { ...definition, selector: 'process_memory_max{host="b"}', min: null, max: 80 }, noon);
  await slas.set('none', { ...definition, selector: 'process_memory_max{host="c"}', min: null, max: 80 }, noon);
  await slas.set('one', { ...definition, selector: 'process_memory_max{process="leaky"}', min: 1, max: 80 }, noon);
  await live(0);
  expect(outlook('all')?.problem).toMatch(/^these are 101 series, and predictions are made for 100/);
  expect(outlook('none')).toMatchObject({ problem: null, passings: [] });
  expect(outlook('one')?.passings.map(({ side, probability }) => [side, probability])).toEqual([
    ['above', null],
    ['below', null],
  ]);
});

test('one that cannot be read says why, and is predicted again as soon as it can', async () => {
  const { store, time, slas, live, outlook, broken } = await setUp();
  await slas.set('one', { ...definition, selector: 'process_memory_max{process="leaky"}', min: null, max: 80 }, noon);
  broken.is = true;
  for (let k = 150; k < 153; k++) await live(k);
  expect(outlook('one')).toMatchObject({ problem: 'the store is slow', passings: [] });
  const forecasts = await store.forecasts({ from: time.now - minute, to: time.now });
  expect(forecasts.map(({ value }) => value)).toContain(rising[152]);
  broken.is = false;
  await live(153);
  expect(outlook('one')).toMatchObject({ problem: null, passings: [{ value: rising[153] }] });
});

test('after its thread has failed all goes on with the next step', async () => {
  const { store, time, slas, put, live, outlook, thread } = await setUp();
  for (let k = 0; k < 60; k++) await put(k);
  await slas.set('one', { ...definition, selector: 'process_memory_max{process="leaky"}', min: null, max: 80 }, noon);
  await live(60);
  await expect(thread.call({ analyse: null as unknown as Float64Array })).rejects.toThrow(/thread failed/);
  await live(61);
  expect(outlook('one')?.passings).toMatchObject([{ value: rising[61], probability: expect.any(Number) }]);
  const forecasts = await store.forecasts({ from: time.now - minute, to: time.now });
  expect(forecasts.map(({ value }) => value)).toContain(rising[61]);
});

test('a changed SLA is told nothing of what it was before', async () => {
  const { time, slas, live, outlook } = await setUp();
  await slas.set('one', { ...definition, selector: 'process_memory_max{process="leaky"}', min: null, max: 80 }, noon);
  await live(0);
  expect(outlook('one')?.passings).toHaveLength(1);
  const changed = { ...definition, selector: 'process_memory_max{process="free"}', min: 1, max: null };
  await slas.set('one', changed, time.now + 1);
  expect(outlook('one')).toBeNull();
});

test('a step is done once: what is kept of it is not made again', async () => {
  const { store, time, slas, put, live } = await setUp();
  for (let k = 0; k < start; k++) await put(k);
  await slas.set('one', { ...definition, selector: 'process_memory_max{process="leaky"}', min: null, max: 30 }, noon);
  for (let k = start; k < start + 3; k++) await live(k);
  const kept = await store.forecasts({ from: 0, to: time.now, metrics: [budgetMetric] });
  expect(kept).toHaveLength(6);
});

test('what is kept of SLAs keeps nothing else of the same step from being kept', async () => {
  const { store, time, slas, put, live } = await setUp();
  for (let k = 0; k < start; k++) await put(k);
  await slas.set('one', { ...definition, selector: 'process_memory_max{process="leaky"}', min: null, max: 30 }, noon);
  await live(start, ['slas', 'forecaster']);
  const kept = await store.forecasts({ from: time.now - minute, to: time.now });
  const metrics = kept.map(({ series }) => series.metric);
  expect(metrics).toEqual(expect.arrayContaining([budgetMetric, 'process_memory_max']));
});
