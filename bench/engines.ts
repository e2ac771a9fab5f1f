import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRuns } from '../src/alarms/run.ts';
import { parseSelector } from '../src/core/selector.ts';
import { processSeries } from '../src/core/series.ts';
import type { Store } from '../src/core/store.ts';
import { parseThreshold, withDefaults } from '../src/core/threshold.ts';
import { openStore } from '../src/store/open.ts';
import {
  type ClickHouseServer,
  chdbFolder,
  hasClickHouse,
  startClickHouse,
  startTodaysClickHouse,
} from '../test/clickhouse-server.ts';
import { hasInfluxd, type Influxd, startInfluxd } from '../test/influxd.ts';
import { makeAlarmReader } from '../test/make-alarm-reader.ts';
import { tableRows } from '../test/table-rows.ts';
import { type Figure, percentile, report } from './report.ts';
import { syntheticSnapshot } from './synthetic.ts';

/** Twenty minutes, 1.8 million rows: whole parts of ten minutes, as a day has them, which ClickHouse lays rows by. */
const shape = { hosts: 50, processes: 300, steps: 120, stepMs: 10_000 };
const partMs = 600_000;
const rows = shape.hosts * shape.processes * shape.steps;
const runs = 9;
/** One append follows the other: nothing would gather. */
const options = { retentionMs: 48 * 3_600_000, warn: () => undefined, clickhouse: { insertEveryMs: 0 } };
const mostApart = 1e-6;
const lines = withDefaults([parseThreshold('cpu=60')]);
type Questions = Record<string, () => Promise<unknown>>;

interface Measured {
  rowsPerSecond: number;
  medianMs: Record<string, number>;
  answers: Record<string, unknown>;
}

/** The same rows in every engine, the same questions to each: their answers have to agree. */
export async function benchEngines(): Promise<void> {
  const end = Math.floor(Date.now() / partMs) * partMs - shape.stepMs;
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const ours = await measure(`duckdb:${join(folder, 'bench.db')}`, end);
  rmSync(folder, { recursive: true });
  if (hasClickHouse()) {
    const server = await startClickHouse();
    const measured = await measure(clickHouseUrl(server), end);
    const limit = await ownInsert(server);
    tell('ClickHouse 18.16', measured, ours, [await bytesARow(server), limit, ...(await halfDay(server, end))]);
    await server.close();
  }
  if (chdbFolder !== undefined) {
    const server = await startTodaysClickHouse();
    const measured = await measure(clickHouseUrl(server), end);
    tell("today's ClickHouse (chdb, one thread)", measured, ours, [await bytesARow(server)]);
    await server.close();
  }
  if (hasInfluxd()) {
    const influxd = await startInfluxd();
    const measured = await measure(influxUrl(influxd, 'bench'), end);
    const hour = await hourOfInfluxDb(influxd, end);
    await influxd.close();
    tell('InfluxDB 1.6.7', measured, ours, [hour]);
  }
}

function influxUrl({ url }: Influxd, database: string): string {
  return `${url.replace('http:', 'influxdb:')}/${database}`;
}

/** A million rows of an hour; beside it what it took of rows alone. */
async function hourOfInfluxDb(influxd: Influxd, end: number): Promise<Figure> {
  const hour = { hosts: 50, processes: 60, steps: 360 };
  const store = await openStore(influxUrl(influxd, 'hour'), { ...options, retentionMs: 48 * 3_600_000 });
  for (let step = hour.steps - 1; step >= 0; step--) {
    const time = end - step * shape.stepMs;
    const of = (_: unknown, host: number) => syntheticSnapshot(host, time, Math.floor(time / 1000), hour.processes);
    await store.append({ snapshots: Array.from({ length: hour.hosts }, of) });
  }
  const mean = () => store.means({ from: end - 3_600_000, to: end });
  const ofRows = await medianOf(mean);
  await store.compact(end);
  const value = await medianOf(mean);
  await store.close();
  const reference = { name: 'of rows alone', value: ofRows, unit: 'ms' };
  return {
    name: 'mean of 1 h, 1,080,000 rows',
    value,
    unit: 'ms',
    reference,
    bar: { is: 'at most', value: 1000, of: 'value' },
  };
}

async function medianOf(ask: () => Promise<unknown>, times = runs): Promise<number> {
  const took: number[] = [];
  for (let run = 0; run < times; run++) {
    const begin = performance.now();
    await ask();
    took.push(performance.now() - begin);
  }
  return percentile(took, 0.5);
}

function clickHouseUrl({ url }: ClickHouseServer): string {
  return `${url.replace('http:', 'clickhouse:')}/bench`;
}

async function ask({ url }: ClickHouseServer, sql: string): Promise<string> {
  const answer = await fetch(url, { method: 'POST', body: sql });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}

async function bytesARow(server: ClickHouseServer): Promise<Figure> {
  const value = (await bytesOf(server, 'bench', 'process')) / rows;
  return { name: 'disk', value, unit: 'bytes/row', bar: { is: 'at most', value: 3, of: 'value' } };
}

/** Merged. */
async function bytesOf(server: ClickHouseServer, database: string, table: string): Promise<number> {
  await ask(server, `OPTIMIZE TABLE ${database}.${table} FINAL`);
  const parts = `active AND database = '${database}' AND table = '${table}'`;
  return Number(await ask(server, `SELECT sum(bytes_on_disk) FROM system.parts WHERE ${parts}`));
}

/** What ClickHouse's own client takes for the same rows, in as large pieces as it likes: the limit. */
async function ownInsert(server: ClickHouseServer): Promise<Figure> {
  const file = join(tmpdir(), `amberwatch-bench-${process.pid}.rows`);
  const client = (sql: string, redirection: string) =>
    execFileSync('sh', ['-c', `clickhouse-client --port ${server.tcpPort} --query "${sql}" ${redirection}`]);
  client('SELECT * FROM bench.process FORMAT RowBinary', `> ${file}`);
  await ask(server, 'CREATE TABLE bench.copy AS bench.process');
  const begin = performance.now();
  client('INSERT INTO bench.copy FORMAT RowBinary', `< ${file}`);
  const value = (rows / (performance.now() - begin)) * 1000;
  rmSync(file);
  return { name: 'the same rows by clickhouse-client', value, unit: 'rows/s' };
}

/** 15,000 series of twelve hours, 65 million rows: they are made where they are, and asked before and after they are rolled up. */
async function halfDay(server: ClickHouseServer, end: number): Promise<Figure[]> {
  const columns = 'host, name, time, count, cpu, cpu_max';
  const steps = 12 * 360;
  const cpu = 'toInt64(cityHash64(number) % 100000)';
  const store = await openStore(`${server.url.replace('http:', 'clickhouse:')}/half_day`, {
    retentionMs: 48 * 3_600_000,
    warn: () => undefined,
  });
  for (let from = 0; from < steps; from += 360)
    await ask(
      server,
      `INSERT INTO half_day.process (${columns}) SELECT concat('host-', toString(number % 50)), concat('name-', toString(intDiv(number, 50) % 300)),
        ${end} - (${from} + intDiv(number, 15000)) * 10000, 1, ${cpu}, ${cpu} FROM numbers(${360 * 15000})`,
    );
  await ask(
    server,
    `INSERT INTO half_day.snapshot (host, time, placed, interval_ms, process_rows) SELECT concat('host-', toString(number % 50)),
      ${end} - intDiv(number, 50) * 10000 AS time, time, 10000, 300 FROM numbers(${steps * 50})`,
  );
  await ask(server, 'OPTIMIZE TABLE half_day.process FINAL');
  const window = { from: end - 12 * 3_600_000, to: end };
  const past = end - 6 * 3_600_000;
  const asked = {
    'statistics of 12 h, 15,000 series': async () => {
      const { statistics } = await store.statistics({ ...window, selector: parseSelector('process_cpu') });
      if (statistics.length !== 15_000 || statistics[0]?.count !== steps) throw new Error('not all of half a day');
      const keyOf = ({ labels }: (typeof statistics)[number]) => `${labels.host} ${labels.process}`;
      return statistics.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    },
    'mean of 12 h': async () => byName(await store.means(window)),
    'mean of 5 min, 6 h ago': async () => byName(await store.means({ from: past - 300_000, to: past })),
    'rows over a line, 6 h ago': () => rowsOverALine(store, past),
  };
  const before = await timesAsked(asked, 3);
  const begin = performance.now();
  await store.compact(end);
  const rolling = (performance.now() - begin) / 1000 / ((steps * 15_000) / 1e6);
  const after = await timesAsked(asked, 3);
  await store.close();
  agree(after.answers, before.answers, 'half a day');
  const figures = Object.keys(asked).map((name): Figure => {
    const [value, ofRows] = [after.medianMs[name] as number, before.medianMs[name] as number];
    return { name, value, unit: 'ms', reference: { name: 'of rows alone', value: ofRows, unit: 'ms' } };
  });
  const bytes = (await bytesOf(server, 'half_day', 'process_hour')) / (steps * 15_000);
  return [
    ...figures,
    { name: 'rolled up, half of it resting', value: rolling, unit: 's/M rows' },
    { name: 'roll-ups, of cpu that is never the same', value: bytes, unit: 'bytes/row' },
  ];
}

async function timesAsked(asked: Questions, times = runs): Promise<Pick<Measured, 'medianMs' | 'answers'>> {
  const medianMs: Measured['medianMs'] = {};
  const answers: Measured['answers'] = {};
  for (const [name, ask] of Object.entries(asked))
    medianMs[name] = await medianOf(async () => {
      answers[name] = await ask();
    }, times);
  return { medianMs, answers };
}

async function measure(url: string, end: number): Promise<Measured> {
  const store = await openStore(url, options);
  const begin = performance.now();
  for (let step = shape.steps - 1; step >= 0; step--) {
    const time = end - step * shape.stepMs;
    const of = (_: unknown, host: number) => syntheticSnapshot(host, time, Math.floor(time / 1000), shape.processes);
    await store.append({ snapshots: Array.from({ length: shape.hosts }, of) });
  }
  const rowsPerSecond = (rows / (performance.now() - begin)) * 1000;
  const asked = await timesAsked(questions(store, end));
  await store.close();
  return { rowsPerSecond, ...asked };
}

async function rowsOverALine(store: Store, time: number): Promise<unknown> {
  const keys = Array.from({ length: shape.hosts }, (_, k) => ({ host: `host-${k}`, time }));
  const found = await store.rows(keys, { above: { cpuMax: 80 } });
  return byName(found.map((row) => ({ ...row, name: `${row.host} ${row.name}` })));
}

function byName<T extends { name: string }>(found: readonly T[]): T[] {
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function questions(store: Store, end: number): Questions {
  const window = { from: end - shape.steps * shape.stepMs, to: end };
  const minutes = { from: end - 300_000, to: end };
  const [host] = ['host-7'];
  const runOf = (k: number) => ({
    series: processSeries('cpuMax', `host-${k % shape.hosts}`, `service-${k % 100}`),
    ...{ red: 50, clear: 40, forMs: 0, holdMs: 0, gapMs: 30_000, until: end },
  });
  return {
    'mean of 5 min': async () => byName(await store.means(minutes)),
    "one host's mean": async () => byName(await store.means({ ...minutes, hosts: [host] })),
    'raw rows of one host': async () => tableRows(await store.page({ ...window, hosts: [host], limit: 9000, skip: 0 })),
    'statistics of 300 series': async () => {
      const { statistics } = await store.statistics({
        ...window,
        selector: parseSelector(`process_cpu{host="${host}"}`),
      });
      return statistics.toSorted((a, b) => ((a.labels.process ?? '') < (b.labels.process ?? '') ? -1 : 1));
    },
    'runs of 200 series': () =>
      findRuns(
        store,
        Array.from({ length: 200 }, (_, k) => runOf(k)),
        window,
      ),
    alarms: async () => {
      const { alarms } = await makeAlarmReader(store, { now: () => end, monotonic: () => end }, lines).now();
      return alarms.map(({ id, value, since }) => ({ id, value, since })).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    },
    'rows over a line': () => rowsOverALine(store, end),
  };
}

function tell(name: string, theirs: Measured, ours: Measured, more: readonly Figure[]): void {
  for (const [question, answer] of Object.entries(theirs.answers)) agree(answer, ours.answers[question], question);
  const figures = Object.entries(theirs.medianMs).map(([question, value]): Figure => {
    const reference = { name: 'DuckDB', value: ours.medianMs[question] as number, unit: 'ms' };
    return { name: `${question}, median`, value, unit: 'ms', reference };
  });
  const taken = {
    name: 'rows taken in',
    value: theirs.rowsPerSecond,
    unit: 'rows/s',
    reference: { name: 'DuckDB', value: ours.rowsPerSecond, unit: 'rows/s' },
  };
  report(`${name}: ${rows.toLocaleString('en')} rows; all answers as DuckDB's`, [taken, ...more, ...figures]);
}

/** @throws Error where they are further apart than they may be */
function agree(a: unknown, b: unknown, where: string): void {
  if (typeof a === 'number' && typeof b === 'number') {
    if (Math.abs(a - b) > mostApart * Math.max(1, Math.abs(b))) throw new Error(`${where}: ${a} is not ${b}`);
  } else if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null) {
    const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
      agree(left[key], right[key], `${where}.${key}`);
  } else if (a !== b) throw new Error(`${where}: ${String(a)} is not ${String(b)}`);
}
