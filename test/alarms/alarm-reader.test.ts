import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runOf, stretchesOf } from '../../src/alarms/run.ts';
import type { Sample } from '../../src/core/sample.ts';
import { readsWithin, type Store } from '../../src/core/store.ts';
import { parseThreshold } from '../../src/core/threshold.ts';
import { openStore } from '../../src/store/open.ts';
import { retentionMs } from '../api/make-app.ts';
import { makeAlarmReader } from '../make-alarm-reader.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';

const minute = 60_000;

/** One process, one value a minute from noon on; null is not known. */
async function setUp(
  values: (number | null)[],
  threshold = 'cpu=80',
  over: (store: Store) => Partial<Store> = () => ({}),
) {
  const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
  const store = overStore(memory, over(memory));
  const time = { now: noon };
  const clock = { now: () => time.now, monotonic: () => 0 };
  const newReader = () => makeAlarmReader(store, clock, [parseThreshold(threshold)]);
  const reader = newReader();
  const put = (cpu: number | null | 'exited', at: number) => {
    const metrics = { 'collector.sweepMs': 1, ...(cpu !== null && { 'system.cpu': 1 }) };
    const processes = [{ name: 'other' }, ...(cpu === 'exited' ? [] : [{ name: 'p', cpu }])];
    return store.append({
      snapshots: [makeSnapshot({ time: noon + at * minute, intervalMs: minute, metrics, processes })],
    });
  };
  for (const [index, cpu] of values.entries()) await put(cpu, index);
  const sinceOf = (alarms: Awaited<ReturnType<typeof reader.now>>) => {
    const [alarm] = alarms.alarms;
    return alarm ? (alarm.since - noon) / minute : null;
  };
  const at = async (minutes: number) => sinceOf(await reader.at(noon + minutes * minute, readsWithin(store, {})));
  const now = async (minutes: number) => {
    time.now = noon + minutes * minute;
    return sinceOf(await reader.now());
  };
  const afresh = async (minutes: number) => {
    time.now = noon + minutes * minute;
    return sinceOf(await newReader().now());
  };
  return { store, at, now, afresh, put };
}

const repeat = (value: number, times: number) => Array<number>(times).fill(value);

test('a search far back that takes long holds up nothing, and its result is known when it has come', async () => {
  let free = () => {};
  const isFree = new Promise<void>((resolve) => {
    free = resolve;
  });
  const { now, at } = await setUp([5, ...repeat(90, 200)], 'cpu=80', (store) => ({
    select: async (query, reading = {}) => {
      if (reading.lane === 'background') await isFree;
      return store.select(query, reading);
    },
  }));
  const begin = performance.now();
  expect(await now(200)).toBe(134);
  expect(performance.now() - begin).toBeLessThan(5000);
  // Nobody begins the same search twice, nor waits for it again.
  expect(await now(200)).toBe(134);
  expect(performance.now() - begin).toBeLessThan(5000);
  free();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await now(200)).toBe(1);
  expect(await at(200)).toBe(1);
});

describe('a run is found however long it lasts', () => {
  test('between clear and red for hours, followed and asked for afresh', async () => {
    const { at, now } = await setUp([5, 95, ...repeat(70, 200)], 'cpu:red=80,clear=60');
    for (const minutes of [1, 30, 61, 62, 130, 201]) expect(await now(minutes), `minute ${minutes}`).toBe(1);
    expect(await at(201)).toBe(1);
  });

  test('a spike within does not begin it anew', async () => {
    const { now } = await setUp([5, 95, ...repeat(70, 100), 85, ...repeat(70, 20)], 'cpu:red=80,clear=60');
    expect(await now(120)).toBe(1);
  });

  test('between clear and red without ever having been over it is none', async () => {
    const { now } = await setUp([5, ...repeat(70, 100)], 'cpu:red=80,clear=60');
    expect(await now(100)).toBeNull();
  });
});

describe('what is remembered of the present', () => {
  test('does not leak into the past', async () => {
    const { at, now } = await setUp([...repeat(5, 10), ...repeat(95, 190), ...repeat(5, 20), ...repeat(95, 180)]);
    expect(await now(399)).toBe(220);
    expect(await at(190)).toBe(10);
    expect(await at(205)).toBeNull();
    expect(await now(399)).toBe(220);
  });

  test('yields when a backlog fills the hole before a run', async () => {
    const { now, put } = await setUp(repeat(95, 80));
    for (let at = 90; at < 100; at++) await put(95, at);
    expect(await now(99)).toBe(90);
    for (let at = 80; at < 90; at++) await put(95, at);
    await put(95, 100);
    expect(await now(100)).toBe(0);
  });
});

test('the first snapshot of a restarted collector, which knows no CPU, ends no alarm', async () => {
  const { now } = await setUp([95, 96, null, 97]);
  expect([await now(1), await now(2), await now(3)]).toEqual([0, 0, 0]);
});

test('a collector that knows no CPU for long is not RED for ever', async () => {
  const { now, put } = await setUp([95]);
  for (let at = 1; at <= 5; at++) await put(null, at);
  expect(await now(5)).toBeNull();
});

test('followed, replayed and asked for afresh: the same, and as the run says', async () => {
  const values = fc.constantFrom(10, 60, 76, 81, 95, null, 'exited' as const);
  const lines = fc.constantFrom(
    'cpu=80',
    'cpu:red=80,clear=60,for=2m',
    'cpu:red=80,hold=2m',
    'cpu:red=80,for=1m,hold=5m',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(values, { maxLength: 30 }), lines, async (given, line) => {
      // What is unknown for longer than it is looked back ends RED.
      const cpus = given.filter((cpu, index) => cpu !== null || given[index - 1] !== null);
      const { put, now, at, afresh } = await setUp([10], line);
      const samples: Sample[] = [{ time: noon, value: 10 }];
      const { red, clear, forMs, holdMs } = parseThreshold(line);
      const said: (number | null)[] = [];
      for (const [index, cpu] of cpus.entries()) {
        const time = noon + (index + 1) * minute;
        await put(cpu, index + 1);
        samples.push({ time, value: cpu });
        // The CPU of the first snapshot of a collector is not known: what was before counts for a while.
        const last = cpu === null && cpus[index - 1] !== null ? time - minute : time;
        const query = { red, clear, forMs, holdMs, gapMs: 3 * minute, until: last };
        const { since } = runOf(stretchesOf(samples, query), query);
        const isThere = samples.some((sample) => sample.time === last && sample.value !== 'exited');
        const isRed = since !== null && last - since >= forMs && isThere;
        said.push(await now(index + 1));
        expect(await afresh(index + 1)).toBe(said.at(-1));
        if (cpu !== null) expect(said.at(-1)).toEqual(isRed ? (since - noon) / minute : null);
      }
      for (const [index, since] of said.entries()) expect(await at(index + 1)).toBe(since);
    }),
    { numRuns: 200 },
  );
});
