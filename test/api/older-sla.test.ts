import { describe, expect, test } from 'vitest';
import type { MetricSample } from '../../src/core/sample.ts';
import { noon } from '../make-snapshot.ts';
import { makeApp } from './make-app.ts';

const hour = 3_600_000;
const step = 30_000;

/** `cpuLoad` of twelve hours: a wave of two hours between 0.5 and 1.5, and at 3 for a minute two hours ago. */
function loadAt(time: number): number {
  const ago = noon - time;
  const noise = 0.02 * Math.sin((time / step) ** 2);
  return ago <= 2 * hour && ago > 2 * hour - 60_000 ? 3 : 1 + 0.5 * Math.sin((Math.PI * time) / hour) + noise;
}

async function setUp() {
  const made = await makeApp({ hasOlderSlaApi: true });
  const samples: MetricSample[] = [];
  for (let time = noon - 12 * hour; time <= noon; time += step)
    for (const [metric, value] of [
      ['cpuLoad', loadAt(time)],
      ['diskUsage', 20],
    ] as const)
      samples.push({
        series: { metric, labels: { job: 'summary', instance: '106' } },
        kind: 'gauge',
        value,
        time,
        owner: '',
      });
  await made.store.append({ samples });
  const post = (url: string, payload: object) => made.app.inject({ method: 'POST', url, payload });
  const list = async (url: string) => (await made.get(url)).body;
  return { ...made, post, list };
}

const ranges = { cpuLoad: [0, 2], diskUsage: [0, 21.7735] };
const rowsAfter = (list: unknown[], head: string) => {
  const rest = list.slice(list.indexOf(head) + 1);
  const end = rest.findIndex((row) => typeof row === 'string');
  return rest.slice(0, end < 0 ? undefined : end) as unknown[][];
};

describe("a client of the older SLA manager's", () => {
  test('defines ranges, and reads violations by duration, number and metric', async () => {
    const { post, list } = await setUp();
    const posted = await post('/SLA', ranges);
    expect([posted.statusCode, posted.json()]).toEqual([200, ranges]);
    const violation = { Metrica: 'cpuLoad', Timestamp: new Date(noon - 2 * hour).toUTCString(), Valore: 3 };
    expect(violation.Timestamp).toBe('Fri, 20 Nov 2026 10:00:00 GMT');
    for (const url of ['/get_Violations', '/assess_Violations'])
      expect(await list(url)).toEqual([
        { ...violation, Duration: '3h' },
        { ...violation, Duration: '12h' },
      ]);
    const counts = { "Violazioni in un'ora": 0, 'Violazioni in tre ore:': 1, 'Violazioni in dodici ore:': 1 };
    expect(await list('/get_Violations_Num')).toEqual(counts);
    expect(await list('/get_SLA_status')).toEqual([
      { Metric: 'cpuLoad', ...counts },
      {
        Metric: 'diskUsage',
        "Violazioni in un'ora": 0,
        'Violazioni in tre ore:': 0,
        'Violazioni in dodici ore:': 0,
      },
    ]);
    expect(await list('/get_SLA_pred')).toEqual([]);
    expect(await list('/get_SLA_pred_status')).toEqual([
      { Metric: 'cpuLoad', 'Violazioni possibili in 10 minuti': 0 },
      { Metric: 'diskUsage', 'Violazioni possibili in 10 minuti': 0 },
    ]);
  });

  test('replaces all ranges with the next ones, and none where one is wrong', async () => {
    const { post, get } = await setUp();
    await post('/SLA', ranges);
    const wrong = await post('/SLA', { cpuLoad: [5, 1] });
    expect([wrong.statusCode, wrong.json().detail]).toEqual([400, expect.stringMatching(/min 5 is above max 1/)]);
    const ids = async () => (await get('/v1/slas')).body.slas.map(({ id }: { id: string }) => id);
    expect(await ids()).toEqual(['older.cpuLoad', 'older.diskUsage']);
    await post('/SLA', { cpuLoad: [0, null] });
    expect(await ids()).toEqual(['older.cpuLoad']);
    expect((await get('/v1/slas/older.cpuLoad')).body).toMatchObject({ min: 0, max: null, objective: 100 });
    expect((await post('/SLA', { 'a b': [0, 1] })).json().detail).toMatch(/'a b' is no name of a metric/);
  });

  test('reads statistics, as pandas has them, by name', async () => {
    const { list } = await setUp();
    const [head, ...rows] = await list('/metrics/metric/cpuLoad');
    expect(head).toBe('MAX, MIN, MEAN, DEV_STD');
    const values = Array.from({ length: 120 }, (_, k) => loadAt(noon - k * step));
    const mean = values.reduce((sum, value) => sum + value) / 120;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 119);
    const rounded = (value: number) => Number(value.toFixed(2));
    const hourOf = ['cpuLoad', ...[Math.max(...values), Math.min(...values), mean, deviation].map(rounded), '1h'];
    expect(rows).toEqual([
      [1, ...hourOf],
      [2, 'cpuLoad', 3, expect.any(Number), expect.any(Number), expect.any(Number), '3h'],
      [3, 'cpuLoad', 3, expect.any(Number), expect.any(Number), expect.any(Number), '12h'],
    ]);
    expect(await list('/metrics/metric/unknownMetric')).toEqual(['MAX, MIN, MEAN, DEV_STD']);
  });

  test('reads metadata and five predictions of two minutes by name', async () => {
    const { list } = await setUp();
    const metadata = await list('/metrics/metadati/cpuLoad');
    const autocorrelation = rowsAfter(metadata, 'Autocorrelazione');
    expect(autocorrelation[0]).toEqual([1, 'cpuLoad', expect.closeTo(0.93, 2), '1h']);
    expect(autocorrelation.length).toBeGreaterThan(50);
    expect(rowsAfter(metadata, 'Stazionarietà').map((row) => row[4])).toEqual(['1h', '3h', '12h']);
    expect(rowsAfter(metadata, 'Stazionarietà')[2]?.[3]).toMatch(
      /^\{'1%': -3\.4\d+, '5%': -2\.8\d+, '10%': -2\.5\d+\}$/,
    );
    expect(rowsAfter(metadata, 'Stagionalità').some((row) => row[3] === '12h')).toBe(true);

    const forecast = await list('/metrics/forecasting/cpuLoad');
    expect(forecast.filter((row: unknown) => typeof row === 'string')).toEqual([
      'PREDICTION_MAX',
      'PREDICTION_MIN',
      'PREDICTION_MEAN',
    ]);
    const twelve = rowsAfter(forecast, 'PREDICTION_MEAN').filter((row) => row[4] === '12h');
    expect(twelve.map((row) => row[2])).toEqual([0, 2, 4, 6, 8].map((k) => `2026-11-20 12:0${k}:00`));
    for (const [k, row] of twelve.entries())
      expect(Number(row[3])).toBeCloseTo(loadAt(noon + k * 120_000 + 60_000), 0.9);
  });

  test('reads all of it, and how long it took; what is not to be forecast has no predictions', async () => {
    const { post, list } = await setUp();
    await post('/SLA', ranges);
    const wanted = { Metrica1: 'cpuLoad' };
    expect((await post('/forecasting', wanted)).json()).toEqual(wanted);
    expect(await list('/regen_data')).toBe('Dati rigenerati');
    const data = await list('/all_data');
    expect(data).toHaveLength(6);
    const [load, disk] = data;
    expect(load.Metric).toEqual({
      name: 'cpuLoad',
      duration: '1h',
      max: expect.any(Number),
      min: expect.any(Number),
      mean: expect.any(Number),
      std: expect.any(Number),
    });
    expect(JSON.parse(load.Predizione.Prediction_Max)).toHaveLength(10);
    expect(JSON.parse(load.Metadati.Stazionarietà)).toHaveLength(5);
    expect(disk.Metric.max).toBe(20);
    expect(disk.Predizione).toEqual({
      duration: '1h',
      Prediction_Max: '[]',
      Prediction_Min: '[]',
      Prediction_Mean: '[]',
    });
    for (const duration of ['1h', '3h', '12h']) {
      const times = await list(`/metrics/${duration}`);
      expect(times.map((each: Record<string, object>) => each['Generating Metrics'])).toEqual([
        { 'Metric Name': 'cpuLoad', 'Computation Time (s)': 0, Timing: duration },
        { 'Metric Name': 'diskUsage', 'Computation Time (s)': 0, Timing: duration },
      ]);
      expect(Object.keys(times[0])).toEqual(['Generate Metadati', 'Generate Prediction', 'Generating Metrics']);
    }
  });

  test('is answered only where that is wanted, and /metrics stays what Prometheus scrapes', async () => {
    const { app } = await makeApp();
    for (const url of ['/get_Violations', '/metrics/1h', '/metrics/metric/cpuLoad', '/all_data'])
      expect((await app.inject(url)).statusCode).toBe(404);
    expect((await app.inject({ method: 'POST', url: '/SLA', payload: ranges })).statusCode).toBe(404);
    const older = await setUp();
    expect((await older.app.inject('/metrics')).body).toMatch(/^# HELP /);
  });

  test('of a name with many series is told what to do', async () => {
    const { store, get } = await setUp();
    const samples = Array.from({ length: 21 }, (_, k) => ({
      series: { metric: 'many', labels: { instance: String(k) } },
      kind: 'gauge' as const,
      value: 1,
      time: noon - step,
      owner: '',
    }));
    await store.append({ samples });
    const { status, body } = await get('/metrics/metric/many');
    expect([status, body.detail]).toEqual([400, expect.stringMatching(/^many is of 21 series/)]);
  });
});
