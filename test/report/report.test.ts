import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MonitorClient } from '../../src/client/monitor-client.ts';
import { parseThreshold } from '../../src/core/threshold.ts';
import { accuracyReport } from '../../src/report/accuracy-lines.ts';
import { backtestHistory } from '../../src/report/history-backtest.ts';
import { type BacktestLine, backtestManifest } from '../../src/report/manifest-backtest.ts';
import { slaLines, slaStatusLines, violationLines } from '../../src/report/sla-lines.ts';
import { statisticsLines } from '../../src/report/statistics-lines.ts';
import type { AccuracyAnswer } from '../../src/wire/forecast.ts';
import { makeApp } from '../api/make-app.ts';
import { Program } from '../e2e/program.ts';
import { leak } from '../forecast/synthetic-series.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const minute = 60_000;
const silent = () => undefined;

/** A folder with one series of a leak in it and its manifest, both as they can be spoilt. */
function makeManifest(options: { csv?: string; manifest?: string } = {}): string {
  const folder = temporaryFolder();
  const rows = leak(400, 120).map((value, k) => `${k * 60},${k === 50 ? '' : value}`);
  writeFileSync(join(folder, 'a.csv'), options.csv ?? `timestamp,value\n${rows.join('\n')}\n`);
  const series = { name: 'a leak', file: 'a.csv', threshold: 80, horizon: 10, step_seconds: 60, licence: 'own' };
  const path = join(folder, 'manifest.json');
  writeFileSync(path, options.manifest ?? JSON.stringify({ split: 'x', series: [series] }));
  return path;
}

async function linesOf(path: string): Promise<BacktestLine[]> {
  const lines: BacktestLine[] = [];
  for await (const line of backtestManifest(path, 'balanced', silent)) lines.push(line);
  return lines;
}

describe('backtest of a manifest', () => {
  test('one line per series, aligned to its rows', async () => {
    const [line, ...rest] = await linesOf(makeManifest());
    expect(rest).toEqual([]);
    expect(line?.series).toBe('a leak');
    for (const column of [line?.amber, line?.probability, line?.eta_steps]) expect(column).toHaveLength(400);
    expect(line?.probability[50]).toBeNull();
    expect(line?.amber).toContain(1);
    expect(line?.eta_steps.every((eta, k) => eta === null || line.amber[k] === 1)).toBe(true);
  });

  test.each([
    ['is not JSON', { manifest: '{' }],
    ['is no manifest; it must look like', { manifest: '{"series":[{"name":"a"}]}' }],
    [
      'is no manifest',
      {
        manifest: JSON.stringify({
          series: [{ name: 'a', file: 'a.csv', threshold: -1, horizon: 1, step_seconds: 1 }],
        }),
      },
    ],
    ["a.csv begins with 'time;load'; its first line must be the header timestamp,value", { csv: 'time;load\n0;1\n' }],
    ["begins with '0,1'; its first line must be the header", { csv: '0,1\n60,2\n' }],
    ["row 3: 'much' is no number", { csv: 'timestamp,value\n0,1\n60,much\n' }],
  ])('says what is wrong: %s', async (reason, options) => {
    await expect(linesOf(makeManifest(options))).rejects.toThrow(reason);
  });

  test('an empty series is an empty line', async () => {
    expect(await linesOf(makeManifest({ csv: 'timestamp,value\n' }))).toMatchObject([{ amber: [], probability: [] }]);
  });

  test('as a command: JSON on stdout; a file that is not there is exit code 2 and a sentence', async () => {
    const good = new Program(['backtest', '--manifest', makeManifest(), '--policy', 'quiet']);
    expect(await good.exit).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({ series: 'a leak' });
    for (const [args, reason] of [
      [['--manifest', '/nowhere.json'], /^amberwatch: cannot read \/nowhere\.json/],
      [['--host', 'a', '--process', 'b', '--metric', 'system.cpu'], /system\.cpu is a metric of a host: leave out/],
      [['--host', 'a', '--metric', 'nonsense'], /'nonsense=80' names no known metric/],
      [[], /needs --manifest FILE, or --host NAME/],
    ] as const) {
      const bad = new Program(['backtest', ...args]);
      expect(await bad.exit).toBe(2);
      expect(bad.stderr).toMatch(reason);
    }
  });
});

describe("backtest of one's own history", () => {
  test('says what would have been said, when, and how right it was', async () => {
    const { app, store, time } = await makeApp();
    const client = new MonitorClient(await app.listen({ host: '127.0.0.1', port: 0 }));
    afterAll(() => client.close());
    const values = leak(500, 120) as number[];
    for (const [k, memory] of values.entries())
      await store.append({
        snapshots: [
          makeSnapshot({ time: noon - (500 - k) * minute + 1, processes: [{ name: 'leaky\u001b[2J', memory }] }),
        ],
      });
    time.now = noon;
    const asked = {
      host: 'web-01',
      process: 'leaky\u001b[2J',
      threshold: parseThreshold('memory=80'),
      policy: 'balanced' as const,
      sinceMs: 10 * 3_600_000,
    };
    const lines = await backtestHistory(client, asked, noon);
    expect(lines[0]).toMatch(/^leaky\S* on web-01: memory over 80\.0 %, .*, 500 steps of 1m, policy balanced$/);
    expect(lines.join('\n')).not.toContain('\u001b');
    expect(
      lines.filter((line) => /^AMBER .* expected in .*: came true after \d+m$/.test(line)).length,
    ).toBeGreaterThanOrEqual(3);
    expect(lines.at(-4)).toMatch(
      /^breaches: 4, warned of [34], half of them .* before or earlier; recall (0\.75|1\.00)$/,
    );
    await expect(backtestHistory(client, { ...asked, process: 'nobody' }, noon)).rejects.toThrow(
      'nothing is stored of memory of nobody on web-01',
    );
  });
});

describe('accuracy for a person', () => {
  const figures: AccuracyAnswer['overall'] = {
    predictions: 1000,
    breaches: 4,
    warned: 3,
    unforeseeable: 2,
    alarms: 5,
    falseAlarms: 2,
    pointedAt: 3,
    etaErrorSeconds: 95,
    intervalShare: 0.83,
    precision: 0.6,
    recall: 0.75,
    f1: 0.67,
    brier: 0.0123,
    brierSkill: 0.4,
    medianLeadSeconds: 90,
    falseAlarmsPerDay: 1.5,
  };
  const answer = (
    overall: Partial<AccuracyAnswer['overall']>,
    series: AccuracyAnswer['series'] = [],
  ): AccuracyAnswer => ({
    from: new Date(noon - 36 * 60 * minute).toISOString(),
    to: new Date(noon).toISOString(),
    horizonSeconds: 600,
    stepSeconds: 60,
    overall: { ...figures, ...overall },
    series,
  });

  test('all together, and each series with something to tell', () => {
    const subject = { host: 'a', process: 'p', metric: 'cpu', series: 'process_cpu_max{...}', muted: false };
    const calm = { ...figures, alarms: 0, breaches: 0, falseAlarms: 0, warned: 0 };
    const series = [
      { ...subject, ...figures },
      { ...subject, process: 'calm', ...calm },
      { ...subject, process: 'hopeless', ...calm, muted: true },
    ];
    expect(accuracyReport(answer({}, series))).toEqual([
      'forecasts of the last 1d 12h, 10m ahead, 3 series',
      '',
      'breaches: 4, warned of 3, half of them 1m 30s before or earlier; recall 0.75',
      'alarms:   5, false 2 (1.5 a day and series), the others pointed at 3 breaches; precision 0.60',
      'times:    1m 35s off in the mean; the interval held in 83 % (it means to in 80 %)',
      'probabilities: 1000, Brier score 0.0123, skill 0.40 (1 is perfect, 0 no better than the mean)',
      'and 2 breaches of series too new for a prediction',
      '',
      'a  p  cpu: 3 of 4 breaches warned of, 2 of 5 alarms false',
      'a  hopeless  cpu: 0 of 0 breaches warned of, 0 of 0 alarms false; muted',
    ]);
  });

  test('of nothing it says that there is nothing', () => {
    const lines = accuracyReport(answer({ predictions: 0, unforeseeable: 0 }));
    expect(lines.at(-1)).toMatch(/^nothing to judge yet/);
  });
});

describe('statistics', () => {
  const found = (labels: Record<string, string>, mean: number) => ({
    labels,
    count: 30,
    min: 1,
    max: 99,
    mean,
    deviation: 2,
    p50: mean,
    p95: null,
    p99: 98.25,
  });
  const window = { window: '1h', from: '', to: '', resolution: 'raw' as const, percentileError: 0, found: 3 };

  test('a table for each window, with its units, and how many more there are', () => {
    const statistics = [
      found({ host: 'web-01', process: 'java' }, 12.34),
      found({ host: 'web-02', process: 'a\nb' }, 3),
    ];
    const lines = [
      ...statisticsLines({
        at: '',
        selector: 'process_cpu{host=~"web.*"}',
        by: null,
        windows: [
          { ...window, statistics },
          { ...window, window: '30d', resolution: '1h', percentileError: 0.0099, found: 0, statistics: [] },
        ],
      }),
    ];
    expect(lines[0]).toBe('process_cpu{host=~"web.*"} in 1h, of rows');
    expect(lines[1]).toMatch(/^ HOST +PROCESS +COUNT +MIN +MEAN +DEVIATION +P50 +P95 +P99 +MAX$/);
    expect(lines[2]).toMatch(/^ web-01 +java +30 +1.0 % +12.3 % +2.0 % +12.3 % +- +98.3 % +99.0 %$/);
    expect(lines[3]).not.toContain('\n');
    expect(lines.slice(4)).toEqual([
      '1 more have lower means; --top 0 shows all',
      '',
      'process_cpu{host=~"web.*"} in 30d, of hours where there are some, percentiles up to 1.0 % off',
      'nothing was measured',
      '',
    ]);
  });
});

describe('SLAs', () => {
  const window = {
    window: '1h',
    from: '2026-06-01T11:00:00.000Z',
    to: '2026-06-01T12:00:00.000Z',
    violations: 1,
    violatedSeconds: 18.4,
    coverage: 0.999,
    compliance: 99.4999,
    met: false,
    budgetSeconds: 18,
    budgetLeftSeconds: -0.4,
    budgetUsedUpAt: null,
  };

  test('what is promised, with its units', () => {
    const version = { since: null, selector: 'process_rss_bytes{host="a"}', objective: 99.5, windows: ['1h'] };
    const sla = (id: string, min: number | null, max: number | null) => ({
      id,
      ...version,
      min,
      max,
      versions: [{ ...version, min, max }],
    });
    const lines = slaLines({ slas: [sla('most', null, 2 ** 30), sla('both', 2 ** 20, 2 ** 30)] });
    expect(lines.slice(1).map((line) => line.trim().split(/\s{2,}/))).toEqual([
      ['most', 'process_rss_bytes{host="a"}', 'at most 1.0 GiB', '99.5 %', '-'],
      ['both', 'process_rss_bytes{host="a"}', '1.0 MiB to 1.0 GiB', '99.5 %', '-'],
    ]);
    expect(slaLines({ slas: [] })).toEqual([expect.stringMatching(/PUT \/v1\/slas/)]);
  });

  test('how they stand: nothing is rounded up to an objective, and one that cannot be told says why', () => {
    const lines = slaStatusLines({
      at: '',
      slas: [
        { id: 'a', objective: 99.5, violated: true, windows: [window], problem: null },
        { id: 'b', objective: 99, violated: null, windows: [], problem: 'too many series' },
      ],
    });
    expect(lines[1]).toMatch(/^ a +VIOLATED +1h +NOT MET +99\.49 of 99\.5 % +1 +18s +99 % +400ms too much +never$/);
    expect(lines[2]).toBe('b: too many series');
  });

  test('violations, the open one until now', () => {
    const violation = { series: 'process_cpu{host="a"}', durationSeconds: 60, side: 'above' as const, worst: 93.25 };
    const { from, to } = window;
    const lines = violationLines({ id: 'a', from, to, violations: [{ ...violation, from, to }] });
    expect(lines[1]).toMatch(/now +1m +above +93\.3 % +process_cpu\{host="a"\}$/);
    expect(violationLines({ id: 'a', from, to, violations: [] })[0]).toMatch(
      /^a was kept from .* as far as anything is known$/,
    );
  });
});
