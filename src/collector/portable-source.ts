import { execFile } from 'node:child_process';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { promisify } from 'node:util';
import psList, { type ProcessDescriptor } from 'ps-list';
import type { Clock } from '../core/clock.ts';
import { MonitorError, messageOf } from '../core/error.ts';
import type { ProcessSource, SampledProcess, Sweep } from '../core/process-source.ts';
import { reservedNames } from '../core/snapshot.ts';
import { type CpuReading, cpuPercent } from './cpu-percent.ts';

const run = promisify(execFile);
const maxOutputBytes = 16 * 1024 * 1024;

/** What a process has used so far. */
interface Used {
  cpuSeconds: number;
  rssBytes: number;
}

interface Tracked extends SampledProcess {
  startedAt: number;
  reading: CpuReading;
}

/**
 * macOS and Windows, where there is no procfs: names from ps-list, cumulative CPU time and RSS from the
 * system's own tool. CPU is the difference of cumulative times; the percentages these tools print are
 * lifetime averages and would call a hot loop idle for days. Tested on Linux only.
 */
export class PortableSource implements ProcessSource {
  readonly #clock: Clock;
  readonly #tracked = new Map<number, Tracked>();
  #sweptBefore: { wall: number; at: number } | null = null;
  #busyBefore: CpuReading | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async sweep(): Promise<Sweep> {
    const start = { wall: this.#clock.now(), at: this.#clock.monotonic() };
    const [list, used] = await Promise.all([psList(), process.platform === 'win32' ? windowsTimes() : psTimes()]).catch(
      (error: unknown) => {
        throw new MonitorError('unavailable', `cannot list the processes: ${messageOf(error)}`, { cause: error });
      },
    );
    const readAt = this.#clock.monotonic();
    const seen = new Set<number>();
    for (const descriptor of list) {
      const its = used.get(descriptor.pid);
      if (!its) continue;
      seen.add(descriptor.pid);
      this.#track(descriptor, its, readAt);
    }
    for (const pid of this.#tracked.keys()) if (!seen.has(pid)) this.#tracked.delete(pid);
    this.#sweptBefore = start;
    return {
      processes: this.#tracked.values(),
      busy: this.#busy(),
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      limitedBy: 'host',
      usedBytes: null,
    };
  }

  close(): void {
    this.#tracked.clear();
  }

  #track(descriptor: ProcessDescriptor, used: Used, at: number): void {
    const startedAt = descriptor.startTime?.getTime() ?? 0;
    const now = { used: used.cpuSeconds, at };
    const known = this.#tracked.get(descriptor.pid);
    const before = known?.startedAt === startedAt ? known.reading : this.#birth(startedAt);
    this.#tracked.set(descriptor.pid, {
      pid: descriptor.pid,
      name: reservedNames.has(descriptor.name) ? `${descriptor.name} (process)` : descriptor.name || '(unnamed)',
      cpu: before && cpuPercent(before, now, 1),
      rssBytes: used.rssBytes,
      kernel: false,
      startedAt,
      reading: now,
    });
  }

  /** Start times have whole seconds: one in doubt counts as older, and is unknown once. */
  #birth(startedAt: number): CpuReading | null {
    const born = this.#sweptBefore !== null && startedAt >= this.#sweptBefore.wall;
    return born && this.#sweptBefore ? { used: 0, at: this.#sweptBefore.at } : null;
  }

  #busy(): number | null {
    const used = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
    const now = { used, at: this.#clock.monotonic() };
    const busy = this.#busyBefore && cpuPercent(this.#busyBefore, now, 1000);
    this.#busyBefore = now;
    return busy;
  }
}

async function psTimes(): Promise<Map<number, Used>> {
  const { stdout } = await run('ps', ['-axo', 'pid=,rss=,time='], { maxBuffer: maxOutputBytes });
  const lines = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  return new Map(
    lines
      .filter((fields) => fields.length === 3)
      .map(([pid, rss, time = '']) => [Number(pid), { rssBytes: Number(rss) * 1024, cpuSeconds: parsePsTime(time) }]),
  );
}

/** `[[dd-]hh:]mm:ss[.cc]` in seconds. */
export function parsePsTime(text: string): number {
  const [clock = '', days = '0'] = text.split('-').reverse();
  return clock.split(':').reduce((seconds, part) => seconds * 60 + Number(part), 0) + Number(days) * 86_400;
}

async function windowsTimes(): Promise<Map<number, Used>> {
  const command = 'Get-Process | ForEach-Object { "$($_.Id) $($_.WorkingSet64) $($_.TotalProcessorTime.Ticks)" }';
  const { stdout } = await run('powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', command], {
    maxBuffer: maxOutputBytes,
  });
  const hundredNanoseconds = 1e7;
  const lines = stdout.split(/\r?\n/).map((line) => line.trim().split(' ').map(Number));
  return new Map(
    lines.map(([pid = 0, rssBytes = 0, ticks = 0]) => [pid, { rssBytes, cpuSeconds: ticks / hundredNanoseconds }]),
  );
}
