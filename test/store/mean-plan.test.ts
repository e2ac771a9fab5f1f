import { expect, test } from 'vitest';
import { meanPlanOf } from '../../src/store/influxdb/mean-plan.ts';
import { Marks } from '../../src/store/influxdb/rollups.ts';

const [minute, bin, hour] = [60_000, 600_000, 3_600_000];
const start = 400_000 * hour;
const countsOf = (...bins: number[]) => new Map([['h', new Map(bins.map((k) => [start + k * bin, 60]))]]);
const marksOf = (...bins: number[]) =>
  new Marks(
    bins.map((k) => ({
      host: 'h',
      length: '10m' as const,
      time: start + k * bin,
      snapshots: 60,
      series: 1,
      hasSums: true,
    })),
  );
const all = [0, 1, 2, 3, 4, 5];

test('both ends of a window are of rows, and what lies between of roll-ups', () => {
  const window = { from: start - 3 * minute, to: start + hour + 4 * minute };
  const plan = meanPlanOf(window, countsOf(...all), marksOf(...all));
  expect(plan?.raw).toEqual([
    { from: window.from, to: start },
    { from: start + hour, to: window.to },
  ]);
  expect(plan?.rolled.flatMap(({ planned }) => [...planned])).toHaveLength(6);
});

test('ten minutes that one host has no right roll-up of are of rows for all', () => {
  const counts = countsOf(...all);
  counts.set('other', new Map([[start + 2 * bin, 60]]));
  const plan = meanPlanOf({ from: start, to: start + hour }, counts, marksOf(...all));
  expect(plan?.raw).toEqual([{ from: start + 2 * bin, to: start + 3 * bin }]);
  expect(plan?.rolled.flatMap(({ planned }) => [...planned])).toHaveLength(5);
});

test('where most of it would be rows, all is: and so it is where there is nothing', () => {
  const window = { from: start, to: start + hour };
  expect(meanPlanOf(window, countsOf(...all), marksOf(0, 1))).toBeNull();
  expect(meanPlanOf(window, countsOf(), marksOf())).toBeNull();
});

test('a window from the beginning of time costs no more than what there is', () => {
  const begun = performance.now();
  const plan = meanPlanOf({ from: 0, to: start + hour }, countsOf(...all), marksOf(...all));
  expect(plan?.raw).toEqual([{ from: 0, to: start }]);
  expect(performance.now() - begun).toBeLessThan(100);
});
