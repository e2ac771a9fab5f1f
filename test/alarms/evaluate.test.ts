import { describe, expect, test } from 'vitest';
import { candidates, prefilter } from '../../src/alarms/candidate.ts';
import { evaluate } from '../../src/alarms/evaluate.ts';
import { reasonOf } from '../../src/alarms/reason.ts';
import { runOf, stretchesOf } from '../../src/alarms/run.ts';
import type { Alarms } from '../../src/core/alarm.ts';
import { changes } from '../../src/core/change.ts';
import type { Forecast } from '../../src/core/forecast.ts';
import type { Sample } from '../../src/core/sample.ts';
import type { SnapshotHeader } from '../../src/core/snapshot.ts';
import { parseThreshold } from '../../src/core/threshold.ts';
import { ThresholdSet } from '../../src/core/threshold-set.ts';
import type { UsageRow } from '../../src/core/usage-row.ts';
import { makeForecast } from '../make-forecast.ts';
import { makeSnapshot, makeUsage, noon, type UsageGiven } from '../make-snapshot.ts';

const thresholds = ['cpu=80', 'memory=80', 'system.cpu=80'].map(parseThreshold);
const header = (given: Partial<SnapshotHeader> = {}): SnapshotHeader => makeSnapshot(given);
const row = (usage: UsageGiven & { host?: string }): UsageRow => ({
  host: usage.host ?? 'web-01',
  time: noon,
  ...makeUsage(usage),
});

function alarmsOf(
  rows: UsageRow[],
  options: {
    at?: number;
    hosts?: SnapshotHeader[];
    since?: number | null;
    texts?: string[];
    forecasts?: Forecast[];
  } = {},
): Alarms {
  const hosts = options.hosts ?? [header()];
  const lines = new ThresholdSet(options.texts?.map(parseThreshold) ?? thresholds);
  const found = candidates(lines, hosts, rows);
  return evaluate(
    options.at ?? noon,
    hosts,
    found,
    found.map(({ value, threshold }) => {
      if (value <= threshold.red) return null;
      return options.since === undefined ? noon : options.since;
    }),
    options.forecasts,
  );
}

const said = (alarms: Alarms) =>
  alarms.alarms.map(
    (alarm) =>
      `${alarm.level} ${alarm.subject.kind === 'process' ? alarm.subject.name : 'host'} ${alarm.metric} ${alarm.value}`,
  );

describe('what is RED', () => {
  test('a value over the line, not one on it', () => {
    const rows = [
      row({ name: 'over', cpu: 80.001 }),
      row({ name: 'on', cpu: 80 }),
      row({ name: 'unknown', cpu: null, memory: null }),
    ];
    expect(said(alarmsOf(rows))).toEqual(['RED over cpu 80.001']);
  });

  test('the largest instance by default, all of them with of=group', () => {
    const rows = [row({ name: 'workers', count: 4, cpu: 160, cpuMax: 45 })];
    expect(said(alarmsOf(rows))).toEqual([]);
    expect(said(alarmsOf(rows, { texts: ['cpu:red=80,of=group'] }))).toEqual(['RED workers cpu 160']);
  });

  test('with basis=host against all cores of the host', () => {
    const rows = [row({ name: 'java', cpu: 400 }), row({ host: 'small', name: 'java', cpu: 190 })];
    const hosts = [header({ cores: 8 }), header({ host: 'small', cores: 2 })];
    const result = alarmsOf(rows, { hosts, texts: ['cpu:red=80,basis=host'] });
    expect(result.alarms.map((alarm) => [alarm.host, alarm.value, alarm.threshold])).toEqual([['small', 95, 80]]);
    expect(prefilter([parseThreshold('cpu:red=80,basis=host')], hosts)).toEqual({ cpuMax: 150 });
  });

  test('system totals, but never a row that is no process', () => {
    const rows = ['__kernel__', '__unattributed__', '__other__'].map((name) => row({ name, cpu: 100 }));
    expect(said(alarmsOf(rows, { hosts: [header({ metrics: { 'system.cpu': 81 } })] }))).toEqual([
      'RED host system.cpu 81',
    ]);
  });

  test("only after `for`, counted in the host's own time", () => {
    const rows = [row({ name: 'p', cpu: 90 })];
    expect(said(alarmsOf(rows, { texts: ['cpu:red=80,for=30s'], since: noon - 29_999 }))).toEqual([]);
    expect(said(alarmsOf(rows, { texts: ['cpu:red=80,for=30s'], since: noon - 30_000 }))).toEqual(['RED p cpu 90']);
    expect(said(alarmsOf(rows, { since: null }))).toEqual([]);
  });

  test('a memory alarm of several names no pid: the one known is of the most CPU', () => {
    const rows = [
      row({ name: 'java', count: 2, memory: 91, memoryMax: 90, pid: 2 }),
      row({ name: 'one', memory: 85, pid: 3 }),
    ];
    expect(alarmsOf(rows).alarms.map((alarm) => alarm.subject)).toEqual([
      { kind: 'process', name: 'java', pid: null },
      { kind: 'process', name: 'one', pid: 3 },
    ]);
  });

  test('worst first', () => {
    const rows = [row({ name: 'a', cpu: 85 }), row({ name: 'b', cpu: 190 }), row({ name: 'c', memory: 99 })];
    expect(said(alarmsOf(rows)).map((text) => text.split(' ')[1])).toEqual(['b', 'c', 'a']);
  });
});

describe('silence', () => {
  test('after three intervals a host is STALE, never GREEN, and its alarms stay', () => {
    const rows = [row({ name: 'p', cpu: 90 })];
    expect(alarmsOf([], { at: noon + 30_000 })).toMatchObject({ level: 'GREEN', stale: [] });
    expect(alarmsOf([], { at: noon + 30_001 })).toMatchObject({
      level: 'STALE',
      stale: [{ host: 'web-01', lastSeen: noon }],
    });
    expect(alarmsOf(rows, { at: noon + 30_001 })).toMatchObject({ level: 'RED', alarms: [{ state: 'stale' }] });
  });
});

describe('forecasts', () => {
  const minute = 60_000;
  const forecast = makeForecast({
    process: 'leaky',
    metric: 'memory',
    probability: 0.7,
    amberSince: noon - 7 * minute,
  });

  test('none means no AMBER; one is AMBER with its prediction', () => {
    expect(alarmsOf([]).level).toBe('GREEN');
    expect(alarmsOf([], { forecasts: [forecast] })).toMatchObject({
      level: 'AMBER',
      alarms: [{ level: 'AMBER', prediction: { probability: 0.7, etaSeconds: 300 }, leadSeconds: null }],
    });
  });

  test('AMBER that comes true is the same alarm, gone RED', () => {
    const amber = alarmsOf([], { forecasts: [forecast] });
    const red = alarmsOf([row({ name: 'leaky', memory: 85 })], { forecasts: [forecast] });
    expect(red.alarms).toHaveLength(1);
    expect(red.alarms[0]?.id).toBe(amber.alarms[0]?.id);
    expect(changes(amber, red).map((change) => `${change.before} -> ${change.level}`)).toEqual(['AMBER -> RED']);
    expect(red.alarms[0]).toMatchObject({ leadSeconds: 420, prediction: null });
    expect(red.alarms.map(reasonOf)).toEqual([expect.stringContaining('predicted 7m before')]);
  });

  test('a RED that nobody foretold has no lead, nor one that came before its AMBER', () => {
    const rows = [row({ name: 'leaky', memory: 85 })];
    const late = [makeForecast({ ...forecast, amberSince: noon + minute })];
    for (const forecasts of [[], late, [makeForecast({ ...forecast, amberSince: null })]])
      expect(alarmsOf(rows, { forecasts }).alarms[0]).toMatchObject({ level: 'RED', leadSeconds: null });
  });

  test('crossing the line does not end an AMBER: it waits for RED', () => {
    const crossed = [makeForecast({ ...forecast, value: 85, probability: null })];
    const rows = [row({ name: 'leaky', memory: 85 })];
    const options = { forecasts: crossed, texts: ['memory:red=80,for=2m'] };
    expect(said(alarmsOf(rows, options))).toEqual(['AMBER leaky memory 85']);
    expect(said(alarmsOf(rows, { ...options, since: noon - 2 * minute }))).toEqual(['RED leaky memory 85']);
    expect(said(alarmsOf([row({ name: 'leaky', memory: 40 })], options))).toEqual([]);
  });

  test('a muted series is not shown', () => {
    expect(alarmsOf([], { forecasts: [makeForecast({ ...forecast, isMuted: true })] }).level).toBe('GREEN');
  });
});

describe('changes', () => {
  const red = () => alarmsOf([row({ name: 'p', cpu: 90 })]);
  const green = () => alarmsOf([]);
  const stale = () => alarmsOf([], { at: noon + 60_000 });
  const words = (before: Alarms | null, now: Alarms) =>
    changes(before, now).map((change) => `${change.before} -> ${change.level}`);

  test('are said once, in both directions', () => {
    expect(words(null, red())).toEqual(['null -> RED']);
    expect(words(red(), red())).toEqual([]);
    expect(words(red(), green())).toEqual(['RED -> OK']);
    expect(words(null, green())).toEqual([]);
    expect(words(green(), stale())).toEqual(['null -> STALE']);
    expect(words(stale(), green())).toEqual(['STALE -> OK']);
  });

  test('a host that falls silent does not resolve its alarms', () => {
    const silent = alarmsOf([row({ name: 'p', cpu: 90 })], { at: noon + 60_000 });
    expect(words(red(), silent)).toEqual(['null -> STALE']);
  });
});

describe('where a run began', () => {
  const start = (values: Sample['value'][], { red = 80, clear = 75, forMs = 0, holdMs = 0, gapMs = 30 } = {}) => {
    const query = { red, clear, forMs, holdMs, gapMs, until: Infinity };
    return runOf(
      stretchesOf(
        values.map((value, i) => ({ time: i * 10, value })),
        query,
      ),
      query,
    ).since;
  };

  test.each<[string, Sample['value'][], number | null]>([
    ['never over', [1, 2, 3], null],
    ['over at the end', [1, 90], 10],
    ['over since the second', [1, 90, 95], 10],
    ['cleared between', [90, 75, 90], 20],
    ['dipped under red but not to clear', [90, 78, 90], 0],
    ['between clear and red without having been over', [1, 78, 79], null],
    ['cleared at the end', [90, 90, 75], null],
    ['not known in between', [90, null, 90], 0],
    ['not there in between', [90, 'exited', 90], 20],
  ])('%s', (_, values, expected) => expect(start(values)).toBe(expected));

  test.each<[string, Sample['value'][], number | null]>([
    ['under for less than `hold`', [1, 90, 1, 1, 1], 10],
    ['under for `hold`', [1, 90, 1, 1, 1, 1], null],
    ['over again before that', [1, 90, 1, 1, 1, 90], 10],
    ['not over red again, but over clear', [1, 90, 1, 1, 1, 78, 1, 1, 1], 10],
    ['between clear and red for ever', [1, 90, 78, 78, 78, 78, 78, 78], 10],
    ['over again after that', [90, 1, 1, 1, 1, 90], 50],
    ['exited, and back under', [90, 'exited', 1], null],
    ['exited, and back over', [90, 'exited', 90], 20],
  ])('with hold: %s', (_, values, expected) => expect(start(values, { holdMs: 30 })).toBe(expected));

  test.each([
    ['not for long enough is when it may have begun', [1, 90, 90], 10],
    ['a dip before it has lasted begins it anew', [90, 90, 1, 90, 90], 30],
    ['a dip after it has lasted does not', [90, 90, 90, 1, 90], 0],
    ['and neither does the next stretch, over again for less', [90, 90, 90, 1, 1, 90, 1], 0],
    ['down before it has lasted is none', [90, 90, 1], null],
  ])('with for and hold: %s', (_, values, expected) => expect(start(values, { forMs: 20, holdMs: 30 })).toBe(expected));

  test.each<[string, Sample['value'][], boolean]>([
    ['the first that is known', [90, 90], true],
    ['after a break too short to tell', [1, 1, 90], true],
    ['after one that ends a run', [1, 1, 1, 1, 90], false],
    ['after an exit', ['exited', 90], false],
    ['after an exit and a short break', ['exited', 1, 90], false],
    ['none, by a break that is long enough', [1, 1, 1, 1], false],
    ['none that is seen, by a break too short to tell', [1, 1, 1], true],
    ['none, after an exit', ['exited', 1], false],
  ])('it may be older: %s', (_, values, expected) => {
    const query = { red: 80, clear: 75, forMs: 0, holdMs: 30, gapMs: 30, until: Infinity };
    const samples = values.map((value, i) => ({ time: i * 10, value }));
    expect(runOf(stretchesOf(samples, query), query).mayBeOlder).toBe(expected);
  });

  test('after a hole it begins anew', () => {
    const query = { red: 80, clear: 80, forMs: 0, holdMs: 0, gapMs: 30, until: Infinity };
    const points = [0, 10, 50].map((time) => ({ time, value: 90 }));
    expect(runOf(stretchesOf(points, query), query)).toEqual({ since: 50, heldSince: 50, mayBeOlder: true });
  });
});
