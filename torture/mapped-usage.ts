import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openStore } from '../src/store/open.ts';
import { Program } from '../test/e2e/program.ts';
import { freePort } from '../test/influxd.ts';
import { hasPrometheus, runPrometheus } from '../test/prometheus.ts';
import { type Scenario, scaled, temporaryFolder, until } from './scenario.ts';
import { ServerProcess } from './server-process.ts';

const exporter = fileURLToPath(new URL('../test/fixtures/process_exporter.py', import.meta.url));
const everyMs = 5000;
const phaseMs = { whole: 60_000, small: 30_000 };
/** What is measured around a change of load belongs to both sides of it. */
const edgeMs = 2 * everyMs;
const mostPoints = 3;

/** Busy for so many percent of the time, in turns that follow each other. */
const burner = `import sys, time
shares = [float(text) / 100 for text in sys.argv[2:]]
begin = time.time()
while True:
    share = shares[int((time.time() - begin) / float(sys.argv[1])) % len(shares)]
    until = time.time() + 0.1 * share
    while time.time() < until: pass
    time.sleep(0.1 * (1 - share) + 0.0001)
`;
const burners = { 'burner-a': [80, 10, 50, 0, 95, 30], 'burner-b': [5, 60, 0, 90, 20, 40] };

/** The same host by its own collector, and by what others measure of it. */
export const mappedUsage: Scenario = {
  name: 'mapped-usage',
  behaviour: 'what process-exporter and node-exporter say of a host is what its collector says',
  async run(scale) {
    const hasNode = spawnSync('prometheus-node-exporter', ['--version']).status === 0;
    if (!hasPrometheus() || !hasNode) return [];
    const phases = Math.max(1, scaled(10, scale));
    const lengthMs = scale < 0.1 ? phaseMs.small : phaseMs.whole;
    const [folder, processPort, nodePort] = [temporaryFolder(), await freePort(), await freePort()];
    const data = temporaryFolder();
    const store = `duckdb:${join(folder, 'a.db')}`;
    const server = await ServerProcess.start(
      store,
      data,
      '--mapping',
      'process-exporter',
      '--mapping',
      'node-exporter',
    );
    const started: ChildProcess[] = [];
    const start = (command: string, ...args: string[]) => void started.push(spawn(command, args, { stdio: 'ignore' }));
    start('python3', exporter, String(processPort));
    start('prometheus-node-exporter', `--web.listen-address=127.0.0.1:${nodePort}`);
    const collector = new Program([
      'collect',
      '--server',
      server.url,
      '--host',
      'own',
      '--interval',
      '5s',
      '--data',
      temporaryFolder(),
    ]);
    const targets = (port: number) => [{ targets: [`127.0.0.1:${port}`], labels: { host: 'told' } }];
    const prometheus = await runPrometheus({
      global: { scrape_interval: `${everyMs / 1000}s` },
      scrape_configs: [
        { job_name: 'process', static_configs: targets(processPort) },
        { job_name: 'node', static_configs: targets(nodePort) },
      ],
      remote_write: [{ url: `${server.url}/v1/prometheus/write`, queue_config: { batch_send_deadline: '1s' } }],
    });
    let begin = 0;
    const ticked: number[] = [];
    try {
      const knows = async (host: string) => (await fetch(`${server.url}/v1/hosts/${host}`)).ok;
      await until(async () => (await knows('own')) && (await knows('told')), 60_000, 'both hosts');
      writeFileSync(join(folder, 'burner.py'), burner);
      begin = Date.now();
      for (const [name, shares] of Object.entries(burners)) {
        copyFileSync(realpathSync('/usr/bin/python3'), join(folder, name));
        start(join(folder, name), join(folder, 'burner.py'), String(lengthMs / 1000), ...shares.map(String));
      }
      for (let phase = 0; phase < phases; phase++) {
        await sleep(begin + phase * lengthMs + edgeMs - Date.now());
        const before = ticks();
        await sleep(begin + (phase + 1) * lengthMs - Date.now());
        ticked.push(busyPercent(before, ticks()));
      }
      await sleep(15_000);
    } finally {
      for (const child of started) child.kill('SIGKILL');
      await collector.stop('SIGTERM');
      await prometheus.close();
      await server.stop('SIGTERM');
    }
    const found = await comparison(store, begin, phases, lengthMs);
    const ofHost = found
      .filter(({ name }) => name === 'system_cpu')
      .map(({ told, own, phase }) => ({ name: 'the host', phase, told, own: ticked[phase] as number, exact: own }));
    const ofProcesses = found.filter(({ name }) => name !== 'system_cpu');
    return [
      {
        promise: `what process-exporter says of processes is what a collector says, within ${mostPoints} points`,
        ...verdictOn(ofProcesses, phases, 'by its collector'),
      },
      {
        promise: `what node-exporter says of a host is what /proc/stat says, within ${mostPoints} points`,
        ...verdictOn(
          ofHost,
          phases,
          'by /proc/stat',
          `; a collector, which does not go by ticks, says ${ofHost.map(({ exact, told }) => (told - exact).toFixed(1)).join(', ')} points less`,
        ),
      },
    ];
  },
};

/** The figure that is furthest off. */
function verdictOn(found: readonly Compared[], phases: number, by: string, more = '') {
  const off = ({ own, told }: Compared) => Math.abs(own - told);
  const [worst] = found.toSorted((a, b) => off(b) - off(a));
  const told =
    worst &&
    `${worst.name} in phase ${worst.phase + 1}, ${worst.own.toFixed(1)} ${by} and ${worst.told.toFixed(1)} by theirs`;
  return {
    figure: `${phases} phases, load changes each: ${found.length} means; the furthest apart: ${told}${more}`,
    holds: worst !== undefined && off(worst) <= mostPoints,
  };
}

/** Busy and all ticks of the host so far. */
function ticks(): { busy: number; all: number } {
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, ...rest] = (
    readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  )
    .split(/\s+/)
    .slice(1, 9)
    .map(Number);
  const busy = user + nice + system + rest.reduce((sum, count) => sum + count, 0);
  return { busy, all: busy + idle + wait };
}

function busyPercent(before: ReturnType<typeof ticks>, after: ReturnType<typeof ticks>): number {
  return (100 * (after.busy - before.busy)) / (after.all - before.all);
}

interface Compared {
  name: string;
  phase: number;
  own: number;
  told: number;
}

async function comparison(url: string, begin: number, phases: number, lengthMs: number): Promise<Compared[]> {
  const store = await openStore(url, { retentionMs: 2 * 86_400_000, warn: () => undefined });
  const found: Compared[] = [];
  for (let phase = 0; phase < phases; phase++) {
    const window = { from: begin + phase * lengthMs + edgeMs, to: begin + (phase + 1) * lengthMs };
    const names = [
      ...Object.keys(burners).map((process) => ({ metric: 'process_cpu', process })),
      { metric: 'system_cpu', process: null },
      { metric: 'system_memory', process: null },
    ];
    for (const { metric, process } of names) {
      const means = await Promise.all(
        ['own', 'told'].map(async (host) => {
          const labels = process === null ? { host } : { host, process };
          const [selected] = await store.select({ ...window, series: [{ metric, labels }], stepMs: null });
          const values = (selected?.samples ?? [])
            .map(({ value }) => value)
            .filter((value) => typeof value === 'number');
          return values.reduce((sum, value) => sum + value, 0) / values.length;
        }),
      );
      found.push({ name: process ?? metric, phase, own: means[0] as number, told: means[1] as number });
    }
  }
  await store.close();
  return found;
}
