import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { ProcfsSource } from '../../src/collector/procfs-source.ts';
import { groupByName } from '../../src/collector/usage-groups.ts';
import { realClock } from './process-source-contract.ts';

const burner = fileURLToPath(new URL('burner.mjs', import.meta.url));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** A process of known duty, and what its own CPU clock has said, by monotonic milliseconds. */
class Burner {
  readonly child: ChildProcess;
  readonly name = `burner-${children.length}`;
  #text = '';

  constructor(periodMs: number, busyMs: number, startMs = monotonic()) {
    this.child = spawn(process.execPath, [burner, this.name, periodMs, busyMs, startMs].map(String), {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(this.child);
    this.child.stdout?.on('data', (text) => {
      this.#text += text;
    });
  }

  /** Percent of one core between two instants, between its own lines by a straight line. */
  truth(from: number, to: number): number {
    const lines = this.#text.trim().split('\n');
    const points = lines.map((line) => line.split(' ').map(Number) as [number, number]);
    const at = (time: number) => {
      const next = points.findIndex(([when]) => when >= time);
      const [[t0, c0], [t1, c1]] = [points[next - 1] as [number, number], points[next] as [number, number]];
      return c0 + ((c1 - c0) * (time - t0)) / (t1 - t0);
    };
    return ((at(to) - at(from)) / (to - from)) * 100;
  }
}

function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Busy milliseconds of the machine by /proc/stat, which on most kernels counts whole ticks. */
function tickedMs(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (
    readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? ''
  )
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq) * 10;
}

/** Both sweeps, and the instants they were made at: what was read of each process lies within a millisecond or two. */
async function twoSweeps(betweenMs: number) {
  const source = new ProcfsSource(realClock);
  const sweep = async () => {
    const from = monotonic();
    const found = await source.sweep();
    return { at: (from + monotonic()) / 2, found };
  };
  const first = await sweep();
  await sleep(betweenMs);
  const second = await sweep();
  const processes = [...second.found.processes];
  const { columns, busy } = groupByName({ ...second.found, processes });
  source.close();
  return { from: first.at, to: second.at, columns, busy: busy ?? 0, processes };
}

test.skipIf(process.platform !== 'linux')(
  '54 processes of known duty, and one that sleeps at every tick: each has what its own CPU clock says',
  async () => {
    // 4 ms, of these 3.4 busy, at ten places in the tick: those that sleep as it comes are nearly invisible to it.
    const probes = [];
    for (let phase = 0; phase < 10; phase++) {
      const probe = new Burner(4, 3.4, Math.ceil(monotonic() / 4) * 4 + phase * 0.4);
      await sleep(250);
      const [before, from] = [tickedMs(), monotonic()];
      await sleep(350);
      probes.push({ phase, ticked: (tickedMs() - before) / (monotonic() - from) });
      probe.child.kill('SIGKILL');
    }
    const { phase } = probes.reduce((a, b) => (a.ticked <= b.ticked ? a : b));
    const others = Array.from({ length: 54 }, (_, k) => new Burner(100 + k, (0.2 + (k % 6) * 0.5) * ((100 + k) / 100)));
    const shy = new Burner(4, 3.4, Math.ceil(monotonic() / 4) * 4 + phase * 0.4);
    await sleep(4000);
    const { from, to, columns, busy, processes } = await twoSweeps(10_000);
    await sleep(300);
    const shown = (each: Burner) => columns.cpu[columns.name.indexOf(each.name)] ?? Number.NaN;
    const errors = [shy, ...others].map((each) => Math.abs(shown(each) - each.truth(from, to)));
    errors.sort((a, b) => a - b);
    expect(errors.at(-1)).toBeLessThanOrEqual(2);
    expect(errors[Math.floor(0.95 * errors.length)]).toBeLessThanOrEqual(0.3);
    // The rows sum to the host's figure, which is no less than what the processes have used.
    const sum = columns.cpu.reduce<number>((total, cpu) => total + (cpu ?? 0), 0);
    expect(Math.abs(sum - busy)).toBeLessThan(0.01);
    const used = processes.reduce((total, { cpu }) => total + (cpu ?? 0), 0);
    expect(busy).toBeGreaterThanOrEqual(used - 0.001 * processes.length);
    const left = columns.cpu[columns.name.indexOf('__unattributed__')] ?? -1;
    expect(left).toBeGreaterThanOrEqual(0);
  },
);
