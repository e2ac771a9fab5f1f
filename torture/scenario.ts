import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasInfluxd, type Influxd, startInfluxd } from '../test/influxd.ts';

/** One promise, what was measured, and whether it holds. */
export interface Verdict {
  promise: string;
  figure: string;
  holds: boolean;
}

/** `scale` 1 is the whole of it; less is for every test run. */
export interface Scenario {
  /** For the command line. */
  name: string;
  /** What it shows, as a sentence. */
  behaviour: string;
  run(scale: number): Promise<Verdict[]>;
}

/** At least one, or nothing would be shown. */
export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}

const root = mkdtempSync(join(tmpdir(), 'amberwatch-torture-'));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));

export function temporaryFolder(): string {
  return mkdtempSync(join(root, 'folder-'));
}

/** The stores that every promise about stored data is shown on. */
export interface Engine {
  name: 'DuckDB' | 'InfluxDB';
  url: string;
  influxd: Influxd | null;
  close(): Promise<void>;
}

export async function startEngine(name: Engine['name']): Promise<Engine> {
  if (name === 'DuckDB')
    return { name, url: `duckdb:${join(temporaryFolder(), 'a.db')}`, influxd: null, close: async () => undefined };
  const influxd = await startInfluxd();
  return { name, url: `${influxd.url.replace('http:', 'influxdb:')}/torture`, influxd, close: () => influxd.close() };
}

/** Where there is no influxd what is promised of DuckDB is shown all the same. */
export const engineNames: readonly Engine['name'][] = hasInfluxd() ? ['DuckDB', 'InfluxDB'] : ['DuckDB'];

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function until(condition: () => boolean | Promise<boolean>, withinMs: number, what: string): Promise<void> {
  const deadline = performance.now() + withinMs;
  const look = async (): Promise<void> => {
    if (await condition()) return;
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
    return look();
  };
  return look();
}
