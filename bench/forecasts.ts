import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { defaultThresholds } from '../src/core/threshold.ts';
import { ForecastThread } from '../src/forecast/forecast-worker-client.ts';
import { Forecaster } from '../src/forecast/forecaster.ts';
import { SeriesForecaster } from '../src/forecast/series-forecaster.ts';
import { openStore } from '../src/store/open.ts';
import * as series from '../test/forecast/synthetic-series.ts';
import { report } from './report.ts';
import { syntheticSnapshot } from './synthetic.ts';

const retentionMs = 2 * 86_400_000;
const minute = 60_000;
const shape = { hosts: 50, processes: 300, minutes: 90, stepMs: 10_000 };
/** Minutes forecast one by one, after the first, which reads the past. */
const forecastMinutes = 10;

/** What a forecast costs, and what following 15,000 series costs a server. */
export async function benchForecasts(): Promise<void> {
  const perStep = forecastCost();
  const holtWinters = holtWintersCost();
  const beside = holtWinters === null ? 'statsmodels is not installed: no reference' : '';
  const { followed, first, later } = await serverCost();
  const count = (shape.hosts * shape.processes).toLocaleString('en');
  report(`forecasts ${beside}`.trim(), [
    {
      name: 'a forecast: everything for one series and step',
      value: perStep,
      unit: 'ms',
      ...(holtWinters !== null && {
        reference: { name: 'statsmodels: Holt-Winters fitted to 120 points', value: holtWinters, unit: 'ms' },
      }),
      bar: { is: 'at most', value: 0.12, of: 'value' },
    },
    { name: `series followed of ${count}, after the filter`, value: followed, unit: 'series' },
    {
      name: `${count} series, each minute: of one core`,
      value: (later / minute) * 100,
      unit: '%',
      bar: { is: 'at most', value: 5, of: 'value' },
    },
    { name: `the first minute, with ${shape.minutes} minutes of past`, value: first, unit: 'ms CPU' },
  ]);
}

/** Milliseconds of processor time per series and step, over shapes of all kinds. */
function forecastCost(): number {
  const all = [
    series.leak(3000, 200),
    series.safeSawtooth(3000),
    series.regularPeak(3000, 240),
    series.plateau(3000),
    series.trap(3000),
    series.withGaps(series.leak(3000, 90)),
  ];
  const walk = (values: series.Series) => {
    const forecaster = new SeriesForecaster({ threshold: 80, horizonSteps: 10, stepSeconds: 60 });
    for (const value of values) {
      const probability = forecaster.next(value);
      if (probability !== null && probability > 0.2) forecaster.explain('cpu', probability);
    }
  };
  for (const values of all) walk(values.slice(0, 1000));
  const begin = process.cpuUsage();
  for (const values of all) walk(values);
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1000 / all.reduce((sum, values) => sum + values.length, 0);
}

/** Milliseconds of one fit by statsmodels as the older system did it; null where python has none. */
function holtWintersCost(): number | null {
  const script = `
import time, warnings, random
warnings.filterwarnings('ignore')
from statsmodels.tsa.holtwinters import ExponentialSmoothing
x = [50 + random.gauss(0, 5) for _ in range(120)]
fit = lambda: ExponentialSmoothing(x, trend='add', seasonal='add', seasonal_periods=10).fit().forecast(10)
fit(); begin = time.process_time(); [fit() for _ in range(20)]; print((time.process_time() - begin) / 20 * 1000)`;
  const { status, stdout } = spawnSync(process.env.PYTHON ?? 'python3', ['-c', script], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) : null;
}

/** CPU of store, server thread and forecaster together, milliseconds: for the first minute, and each one after it. */
async function serverCost(): Promise<{ followed: number; first: number; later: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const store = await openStore(`duckdb:${join(folder, 'bench.db')}`, { retentionMs, warn: () => undefined });
  const start = Math.floor(Date.now() / minute) * minute - (shape.minutes + forecastMinutes) * minute;
  const time = { now: start };
  const fill = async (from: number, to: number) => {
    for (let at = from; at < to; at += shape.stepMs) {
      const snapshot = (_: unknown, host: number) => syntheticSnapshot(host, at, at / shape.stepMs, shape.processes);
      await store.append({ snapshots: Array.from({ length: shape.hosts }, snapshot) });
    }
  };
  const clock = { now: () => time.now, monotonic: () => time.now };
  const log = pino({ level: 'silent' });
  const thread = new ForecastThread();
  const options = { store, clock, log, thread, thresholds: defaultThresholds, horizonMs: 10 * minute };
  const forecaster = new Forecaster(options);
  const tick = async (at: number) => {
    time.now = at + 5000;
    const begin = process.cpuUsage();
    await forecaster.tick();
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / 1000;
  };
  try {
    const pastEnd = start + shape.minutes * minute;
    await fill(start, pastEnd + forecastMinutes * minute);
    const first = await tick(pastEnd);
    let later = 0;
    for (let k = 1; k <= forecastMinutes; k++) later += await tick(pastEnd + k * minute);
    return { followed: forecaster.figures.series, first, later: later / forecastMinutes };
  } finally {
    await forecaster.close();
    await store.close();
    rmSync(folder, { recursive: true });
  }
}
