import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { SourcesAnswer } from '../src/wire/source.ts';
import { getJson, Program } from '../test/e2e/program.ts';
import { freePort } from '../test/influxd.ts';
import { hasPrometheus, promtool, runPrometheus } from '../test/prometheus.ts';
import { residentMiB } from '../torture/measure.ts';
import { report } from './report.ts';

const shape = { series: 1000, hours: 24, everyMs: 15_000 };
const pollMs = 500;

/** A day of a thousand series, as blocks of a Prometheus. */
function prepare(folder: string): void {
  const path = join(folder, 'past.txt');
  const file = openSync(path, 'w');
  const steps = (shape.hours * 3_600_000) / shape.everyMs;
  const to = Date.now() - 60_000;
  writeSync(file, '# TYPE made_value gauge\n');
  for (let k = 0; k < shape.series; k++) {
    const lines: string[] = [];
    for (let i = 0; i < steps; i++) {
      const value = Math.round(1e5 * (1 + Math.sin(i / 240 + k))) / 1000;
      lines.push(
        `made_value{instance="web-${k % 20}:9100",job="node",device="d${k}"} ${value} ${(to - (steps - i) * shape.everyMs) / 1000}`,
      );
    }
    writeSync(file, `${lines.join('\n')}\n`);
  }
  writeSync(file, '# EOF\n');
  closeSync(file);
  promtool(['tsdb', 'create-blocks-from', 'openmetrics', path, join(folder, 'data')]);
  rmSync(path);
}

/** How fast the past of a real Prometheus is here, and what a server is for others meanwhile. */
export async function benchBackfill(): Promise<void> {
  if (!hasPrometheus()) return;
  execFileSync('npm', ['run', 'build'], { stdio: 'ignore' });
  const prometheus = await runPrometheus({ global: {} }, prepare);
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const source = {
    name: 'lab',
    url: prometheus.url,
    allow: '127.0.0.1',
    selector: 'made_value',
    backfill: `${shape.hours}h`,
  };
  writeFileSync(join(folder, 'amberwatch.yaml'), stringify({ sources: [source] }));
  const port = await freePort();
  const args = [
    'serve',
    '--listen',
    `127.0.0.1:${port}`,
    '--data',
    folder,
    '--config',
    join(folder, 'amberwatch.yaml'),
  ];
  const begin = performance.now();
  const server = new Program(args);
  const alarmsMs: number[] = [];
  let [residentMiBMost, samples, isDone] = [0, 0, false];
  while (!isDone) {
    await sleep(pollMs);
    residentMiBMost = Math.max(residentMiBMost, residentMiB(server.child.pid as number));
    const at = performance.now();
    const found = await getJson<SourcesAnswer>(`http://127.0.0.1:${port}/v1/sources`).catch(() => null);
    await fetch(`http://127.0.0.1:${port}/v1/alarms`).catch(() => null);
    alarmsMs.push(performance.now() - at);
    const [lab] = found?.sources ?? [];
    samples = lab?.samples ?? 0;
    isDone = samples > 0 && lab?.missing === 0;
  }
  const seconds = (performance.now() - begin) / 1000;
  await server.stop();
  await prometheus.close();
  rmSync(folder, { recursive: true });
  report(
    `back-fill: ${shape.hours} h of ${shape.series} series every ${shape.everyMs / 1000} s from a real Prometheus into DuckDB, half of the time left to others`,
    [
      { name: 'samples', value: samples, unit: 'samples' },
      { name: 'rate', value: samples / seconds, unit: 'samples/s' },
      { name: 'of the past in a second', value: (shape.hours * 3600) / seconds, unit: 's' },
      { name: 'memory of the server at most', value: residentMiBMost, unit: 'MiB' },
      { name: 'sources and alarms beside it, slowest', value: Math.max(...alarmsMs), unit: 'ms' },
    ],
  );
}
