import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRuns } from '../src/alarms/run.ts';
import { parseSelector } from '../src/core/selector.ts';
import { processSeries } from '../src/core/series.ts';
import type { Store } from '../src/core/store.ts';
import { openStore } from '../src/store/open.ts';
import { hasClickHouse, startClickHouse } from '../test/clickhouse-server.ts';
import { hasInfluxd, startInfluxd } from '../test/influxd.ts';
import { tableRows } from '../test/table-rows.ts';
import { type Figure, percentile, report } from './report.ts';
import { syntheticSnapshot } from './synthetic.ts';

/** Twelve minutes: 1.08 million rows. */
const shape = { hosts: 50, processes: 300, steps: 72, stepMs: 10_000 };
const rows = shape.hosts * shape.processes * shape.steps;
const runs = 9;
const mostApart = 1e-6;
type Questions = Record<string, () => Promise<unknown>>;

interface Measured {
  rowsPerSecond: number;
  medianMs: Record<string, number>;
  answers: Record<string, unknown>;
}

/** The same rows in every engine, the same questions to each: their answers have to agree. */
export async function benchEngines(): Promise<void> {
  const end = Math.floor(Date.now() / shape.stepMs) * shape.stepMs;
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const ours = await measure(`duckdb:${join(folder, 'bench.db')}`, end);
  rmSync(folder, { recursive: true });
  if (hasClickHouse()) {
    const server = await startClickHouse();
    const measured = await measure(`${server.url.replace('http:', 'clickhouse:')}/bench`, end);
    const sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'bench' AND table = 'process'";
    await fetch(server.url, { method: 'POST', body: 'OPTIMIZE TABLE bench.process FINAL' });
    const bytes = Number(await (await fetch(server.url, { method: 'POST', body: sql })).text());
    await server.close();
    tell('ClickHouse 18.16', measured, ours, [{ name: 'disk', value: bytes / rows, unit: 'bytes/row' }]);
  }
  if (hasInfluxd()) {
    const influxd = await startInfluxd();
    const measured = await measure(`${influxd.url.replace('http:', 'influxdb:')}/bench`, end);
    await influxd.close();
    tell('InfluxDB 1.6.7', measured, ours, []);
  }
}

async function measure(url: string, end: number): Promise<Measured> {
  const store = await openStore(url, { retentionMs: 48 * 3_600_000, warn: () => undefined });
  const begin = performance.now();
  for (let step = shape.steps - 1; step >= 0; step--) {
    const time = end - step * shape.stepMs;
    const of = (_: unknown, host: number) => syntheticSnapshot(host, time, Math.floor(time / 1000), shape.processes);
    await store.append({ snapshots: Array.from({ length: shape.hosts }, of) });
  }
  const rowsPerSecond = (rows / (performance.now() - begin)) * 1000;
  const medianMs: Measured['medianMs'] = {};
  const answers: Measured['answers'] = {};
  for (const [name, ask] of Object.entries(questions(store, end))) {
    const took: number[] = [];
    for (let run = 0; run < runs; run++) {
      const at = performance.now();
      answers[name] = await ask();
      took.push(performance.now() - at);
    }
    medianMs[name] = percentile(took, 0.5);
  }
  await store.close();
  return { rowsPerSecond, medianMs, answers };
}

function questions(store: Store, end: number): Questions {
  const window = { from: end - shape.steps * shape.stepMs, to: end };
  const minutes = { from: end - 300_000, to: end };
  const [host] = ['host-7'];
  const runOf = (k: number) => ({
    series: processSeries('cpuMax', `host-${k % shape.hosts}`, `service-${k % 100}`),
    ...{ red: 50, clear: 40, forMs: 0, holdMs: 0, gapMs: 30_000, until: end },
  });
  const byName = <T extends { name: string }>(found: readonly T[]) =>
    found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
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
    'rows over a line': async () => {
      const keys = Array.from({ length: shape.hosts }, (_, k) => ({ host: `host-${k}`, time: end }));
      const found = await store.rows(keys, { above: { cpuMax: 80 } });
      return byName(found.map((row) => ({ ...row, name: `${row.host} ${row.name}` })));
    },
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
