import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import type { AccuracyAnswer, ForecastsAnswer } from '../../src/wire/forecast.ts';
import type { AnalysisAnswer, SeriesAnswer } from '../../src/wire/series.ts';
import { makeForecast } from '../make-forecast.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { iso, makeApp, retentionMs } from './make-app.ts';

const minute = 60_000;

describe('GET /v1/forecasts', () => {
  test('gives the newest of each series, most likely first', async () => {
    const { store, get, time } = await makeApp();
    await store.append({
      forecasts: [
        makeForecast({ time: noon - 2 * minute, probability: 0.9 }),
        makeForecast({ time: noon - minute, probability: 0.123456 }),
        makeForecast({
          time: noon - minute,
          process: 'java',
          metric: 'memory',
          probability: 0.5,
          notifySince: noon - minute,
        }),
        makeForecast({
          time: noon - minute,
          process: null,
          metric: 'system.cpu',
          probability: null,
          intervalSeconds: null,
        }),
        makeForecast({ time: noon - 9 * minute, process: 'old' }),
      ],
    });
    const { body } = await get('/v1/forecasts');
    const answer = body as ForecastsAnswer;
    expect(answer).toMatchObject({ at: iso(noon), horizonSeconds: 600, stepSeconds: 60 });
    expect(answer.forecasts.map(({ process, probability }) => [process, probability])).toEqual([
      [null, null],
      ['java', 0.5],
      ['nginx', 0.1235],
    ]);
    expect(answer.forecasts[1]).toMatchObject({
      notifySince: iso(noon - minute),
      muted: false,
      intervalSeconds: [120, 540],
    });
    const one = (await get('/v1/forecasts?host=web-01&process=java&metric=memory')).body as ForecastsAnswer;
    expect(one.forecasts).toHaveLength(1);
    const then = (await get(`/v1/forecasts?process=nginx&at=${iso(noon - 2 * minute)}`)).body as ForecastsAnswer;
    expect(then.forecasts[0]?.probability).toBe(0.9);
    time.now += 10 * minute;
    expect(((await get('/v1/forecasts')).body as ForecastsAnswer).forecasts).toEqual([]);
  });
});

test.each([
  '/v1/forecasts?metric=x%27%3B%20DROP%20TABLE%20usage%3B%20--',
  '/v1/forecasts?metric=%27',
  '/v1/forecasts/accuracy?metric=x%27%20UNION%20SELECT%201',
])('%s is refused: no metric has that name', async (url) => {
  const { get } = await makeApp();
  const { status, body } = await get(url);
  expect(status).toBe(400);
  expect((body as { detail: string }).detail).toMatch(/^there is no metric/);
});

test('names reach a real database as names', async () => {
  const store = await openStore(`duckdb:${join(temporaryFolder(), 'a.db')}`, { retentionMs, warn: () => undefined });
  const { get } = await makeApp({ store });
  const name = "x'; DROP TABLE usage; --";
  await store.append({ snapshots: [makeSnapshot({ host: name, processes: [{ name }] })] });
  await store.append({ forecasts: [makeForecast({ host: name, process: name })] });
  const subject = `host=${encodeURIComponent(name)}&process=${encodeURIComponent(name)}`;
  expect((await get(`/v1/forecasts?${subject}`)).body).toMatchObject({ forecasts: [{ host: name, process: name }] });
  expect((await get(`/v1/forecasts/accuracy?${subject}`)).body).toMatchObject({ series: [{ host: name }] });
  expect((await get(`/v1/series?${subject}&metric=cpuMax`)).body).toMatchObject({ points: [{ value: 1 }] });
  expect((await get(`/v1/series/analysis?${subject}&metric=memory`)).body).toMatchObject({ points: 1 });
  expect(await store.rows([{ host: name, time: noon }])).toHaveLength(1);
});

describe('GET /v1/forecasts/accuracy', () => {
  test('scores what was said when its horizon has passed, by series and overall', async () => {
    const { store, get } = await makeApp();
    await store.append({ snapshots: [makeSnapshot()] });
    const said = (process: string, values: number[], amberFrom: number) =>
      values.map((value, k) =>
        makeForecast({
          process,
          time: noon - (values.length - k) * minute,
          value,
          probability: value > 80 ? null : k >= amberFrom ? 0.7 : 0.05,
          amberSince: k >= amberFrom && k < amberFrom + 5 ? noon : null,
        }),
      );
    const right = [...Array<number>(20).fill(60), 85, ...Array<number>(20).fill(50)];
    await store.append({ forecasts: [...said('right', right, 16), ...said('wrong', Array<number>(41).fill(60), 15)] });
    const answer = (await get('/v1/forecasts/accuracy?window=2h')).body as AccuracyAnswer;
    expect(answer.overall).toMatchObject({
      breaches: 1,
      warned: 1,
      alarms: 2,
      falseAlarms: 1,
      precision: 0.5,
      recall: 1,
    });
    expect(answer.overall.medianLeadSeconds).toBe(240);
    const byProcess = Object.fromEntries(answer.series.map((series) => [series.process, series]));
    expect(byProcess.right).toMatchObject({ precision: 1, recall: 1, unforeseeable: 0 });
    expect(byProcess.wrong).toMatchObject({ precision: 0, recall: null, brierSkill: null, muted: false });
    await store.append({ forecasts: [makeForecast({ process: 'hidden', time: noon - 20 * minute, isMuted: true })] });
    const muted = (await get('/v1/forecasts/accuracy?process=hidden')).body as AccuracyAnswer;
    expect(muted).toMatchObject({ overall: { alarms: 0 }, series: [{ muted: true }] });
    const none = (await get('/v1/forecasts/accuracy?process=nobody')).body as AccuracyAnswer;
    expect(none).toMatchObject({ overall: { predictions: 0, precision: null }, series: [] });
  });

  test.each(['window=32d', 'window=yesterday', 'at=noon'])('%s is refused', async (query) => {
    const { get } = await makeApp();
    expect((await get(`/v1/forecasts/accuracy?${query}`)).status).toBe(400);
  });
});

describe('GET /v1/series', () => {
  /** A wave of 20 minutes, one snapshot a minute; minute 50 has none. */
  async function withWave() {
    const app = await makeApp();
    for (let k = 0; k < 200; k++) {
      if (k === 50) continue;
      const cpu = 50 + 20 * Math.sin((2 * Math.PI * k) / 20) + (k % 7) / 10;
      await app.store.append({
        snapshots: [
          makeSnapshot({
            time: noon - (200 - k) * minute,
            metrics: { 'system.cpu': cpu },
            processes: [{ name: 'wave', cpu }],
          }),
        ],
      });
    }
    return app;
  }

  test('gives regular means', async () => {
    const { get } = await withWave();
    const { body } = await get('/v1/series?host=web-01&process=wave&metric=cpuMax&window=4h&step=2m');
    const { points = [], ...about } = body as SeriesAnswer;
    expect(about).toMatchObject({ host: 'web-01', process: 'wave', metric: 'cpuMax', stepSeconds: 120 });
    expect(points).toHaveLength(100);
    expect(points[0]?.time).toBe(iso(noon - 200 * minute));
    const system = (await get('/v1/series?host=web-01&metric=system.cpu&window=4h&step=2m')).body as SeriesAnswer;
    expect(system.process).toBeNull();
    expect(system.points?.map(({ value }) => Math.round(value))).toEqual(points.map(({ value }) => Math.round(value)));
  });

  test('says what it is like', async () => {
    const { get } = await withWave();
    const { body } = await get('/v1/series/analysis?host=web-01&process=wave&metric=cpuMax&window=4h');
    const answer = body as AnalysisAnswer;
    expect(answer).toMatchObject({ points: 200, missing: 1, period: { seconds: 1200 } });
    expect(answer.autocorrelation[0]).toBeCloseTo(1, 6);
    expect(answer.stationarity?.pValue).toBeLessThan(0.05);
    expect(Object.keys(answer.stationarity?.critical ?? {})).toEqual(['1%', '5%', '10%']);
    expect(answer.decomposition?.seasonal).toHaveLength(200);
    expect(answer.decomposition?.trend[0]).toBeNull();
  });

  test('of nothing there is nothing to say', async () => {
    const { get } = await makeApp();
    const { status, body } = await get('/v1/series/analysis?host=nobody&metric=system.cpu');
    expect(status).toBe(200);
    expect(body).toMatchObject({ points: 0, missing: 0, stationarity: null, period: null, decomposition: null });
  });

  test.each([
    ['metric=cpu', 'host'],
    ['host=a&metric=cpu', "no metric 'cpu' of the host itself"],
    ['host=a&process=b&metric=system.cpu', "no metric 'system.cpu' of a process"],
    ['host=a&metric=system.cpu&window=10d', 'choose a shorter window or a step of'],
    ['host=a&metric=system.cpu&step=10ms', 'between 1s and 31d'],
    ['host=a&metric=system.cpu&step=often', 'not a duration'],
    ['host=a&metric=system.cpu&step=1.0005s', 'whole milliseconds'],
  ])('%s is refused: %s', async (query, reason) => {
    const { get } = await makeApp();
    const { status, body } = await get(`/v1/series?${query}`);
    expect(status).toBe(400);
    expect((body as { detail: string }).detail).toContain(reason);
  });
});

describe('the next steps of series', () => {
  const minute = 60_000;
  const url = (selector: string, more = '') => `/v1/forecasts/series?selector=${encodeURIComponent(selector)}${more}`;

  /** `rising` gains half a percent a minute, sampled twice; `ended` was seen an hour ago, `young` for ten minutes. */
  async function setUp() {
    const made = await makeApp();
    for (let k = -120; k < 0; k += 0.5) {
      const time = noon + k * minute;
      const processes = [
        { name: 'rising', memory: 80 + k / 2 + (k % 1 === 0 ? 0 : 0.5) },
        ...(k < -60 ? [{ name: 'ended', memory: 10 }] : []),
        ...(k >= -10 ? [{ name: 'young', memory: 10 }] : []),
      ];
      await made.store.append({ snapshots: [makeSnapshot({ host: 'a', time, intervalMs: 30_000, processes })] });
    }
    return made;
  }

  test('are told for mean, lowest and highest value, each with its band', async () => {
    const { get } = await setUp();
    const { status, body } = await get(url('process_memory_max{process="rising"}', '&horizon=5m'));
    expect([status, body.at, body.horizonSeconds, body.stepSeconds]).toEqual([200, iso(noon), 300, 60]);
    const [{ steps, problem, ...about }] = body.series;
    expect(problem).toBeNull();
    expect(about).toMatchObject({ host: 'a', process: 'rising', metric: 'memory' });
    expect(steps.map(({ time }: { time: string }) => time)).toEqual([1, 2, 3, 4, 5].map((k) => iso(noon + k * minute)));
    // In minute k it is at 80 + k / 2 and, half a minute later, three quarters more.
    for (const [k, { mean, min, max }] of steps.entries()) {
      expect(min.expected).toBeCloseTo(80 + k / 2, 1);
      expect(mean.expected).toBeCloseTo(80 + k / 2 + 0.375, 1);
      expect(max.expected).toBeCloseTo(80 + k / 2 + 0.75, 1);
      for (const { low, expected, high } of [mean, min, max]) {
        expect(low).toBeLessThanOrEqual(expected);
        expect(expected).toBeLessThanOrEqual(high);
      }
    }
  });

  test('are not told of what has ended or is too young, and the answer says so', async () => {
    const { get } = await setUp();
    const { body } = await get(url('process_memory_max{process=~"ended|young"}'));
    const told = body.series.map(({ process, problem, steps }: Record<string, unknown>) => [process, problem, steps]);
    expect(told).toEqual([
      ['ended', 'it has no value in the last 10 steps', []],
      ['young', 'it has values of 10 steps, and nothing is said before 30', []],
    ]);
  });

  test.each([
    ['process_memory_max{', '', /selector/],
    ['process_memory_max', '&horizon=2h', /120 steps, and at most 60 are forecast/],
    ['process_memory_max', '&step=100ms', /step must lie between/],
    ['process_memory_max', '&at=yesterday', /date-time|not an instant/],
  ])('%s%s is refused with the reason', async (selector, more, reason) => {
    const { get } = await makeApp();
    const { status, body } = await get(url(selector, more));
    expect(status).toBe(400);
    expect(body.detail).toMatch(reason);
  });

  test('of more than a hundred series nothing is told', async () => {
    const { store, get } = await makeApp();
    const processes = Array.from({ length: 101 }, (_, k) => ({ name: `p${k}`, memory: 1 }));
    await store.append({ snapshots: [makeSnapshot({ time: noon - minute, processes })] });
    const { body } = await get(url('process_memory_max'));
    expect(body.detail).toMatch(/names 101 series, and at most 100 are forecast/);
  });
});
