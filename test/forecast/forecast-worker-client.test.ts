import { expect, test } from 'vitest';
import { processSeries, seriesKey } from '../../src/core/series.ts';
import { ForecastThread } from '../../src/forecast/forecast-worker-client.ts';
import { noon } from '../make-snapshot.ts';

const followed = processSeries('cpuMax', 'web-01', 'p');
const shape = { threshold: 80, horizonSteps: 10, stepSeconds: 60 };
const series = { series: followed, shape, past: new Float64Array(60).fill(50), record: [], isGoingOn: false };
const step = { time: noon, values: [{ key: seriesKey(followed), value: 50 }] };

test('after its thread has failed, the next call finds a new one, which knows no series', async () => {
  const thread = new ForecastThread();
  await thread.call({ add: [series] });
  expect((await thread.call(step)).forecasts).toHaveLength(1);
  await expect(thread.call({ add: null as never })).rejects.toThrow("the forecaster's thread failed");
  expect((await thread.call(step)).forecasts).toEqual([]);
  await thread.call({ add: [series] });
  expect((await thread.call(step)).forecasts).toHaveLength(1);
  await thread.close();
  await expect(thread.call(step)).rejects.toThrow('closed');
});
