import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';
import type { ProcessSource, SampledProcess, Sweep } from '../core/process-source.ts';
import { reservedNames } from '../core/snapshot.ts';
import { Cgroup } from './cgroup.ts';
import { type CpuReading, cpuPercent } from './cpu-percent.ts';
import { readProcFile, readProcText } from './proc-file.ts';
import { bytesPerSecond, type ProcessIo, readProcessIo } from './process-io.ts';
import { parseStat, type Stat } from './stat-parser.ts';

/** PF_KTHREAD of the kernel's sched.h. */
const kernelThreadFlag = 0x0020_0000;
/** A kept descriptor halves the cost of a read; each costs the kernel a page. */
const maxKeptDescriptors = 1024;
/** With all descriptors taken, a process that has been idle for so many sweeps gives its one up. */
const idleSweeps = 6;

/** What tells how busy a host or container has been: the first three are exact. */
type BusyClock = 'cgroup' | 'cpuacct' | 'schedstat' | 'ticks';

interface Tracked extends SampledProcess {
  startTicks: number;
  reading: CpuReading;
  /** What it had read and written by then; null: nobody knows, or nobody wants to. */
  io: ProcessIo | null;
  /** The bytes of `name`: it is decoded again only when they change, as on exec. */
  nameBytes: Uint8Array;
  fd: number | null;
  idle: number;
  /** Number of the sweep that last saw it. */
  seen: number;
}

/**
 * Linux' /proc, read synchronously into one reused buffer: one small file per process and sweep, no
 * child process and next to no garbage. Identity is (pid, start ticks); a kept descriptor answers ESRCH
 * for a process that has ended and never reads another one's data.
 */
export class ProcfsSource implements ProcessSource {
  readonly #clock: Clock;
  readonly #root: string;
  readonly #hasIo: boolean;
  readonly #cgroup: Cgroup;
  readonly #system: { ticksPerSecond: number; pageBytes: number };
  readonly #buffer = Buffer.alloc(4096);
  /** The name of the process is still in the other one. */
  readonly #ioBuffer = Buffer.alloc(1024);
  /** Of the host: what this process itself may use can be less, and busy time is counted over all. */
  readonly #hostCores = cpus().length;
  readonly #stat: Stat = { nameStart: 0, nameEnd: 0, flags: 0, cpuTicks: 0, threads: 0, startTicks: 0, rssPages: 0 };
  readonly #tracked = new Map<number, Tracked>();
  #kept = 0;
  #maxKept: number;
  #sweeps = 0;
  /** Ticks since boot and monotonic time at the start of the sweep before. */
  #before: { ticks: number; at: number } | null = null;
  #busyBefore: { reading: CpuReading; of: BusyClock } | null = null;

  /** `io`: also what processes read and write, a file more for each. */
  constructor(clock: Clock, { io }: { io: boolean } = { io: false }, procRoot = '/proc', cgroup = new Cgroup()) {
    this.#clock = clock;
    this.#hasIo = io;
    this.#root = procRoot;
    this.#cgroup = cgroup;
    this.#system = systemConstants(procRoot);
    this.#maxKept = Math.min(maxKeptDescriptors, Math.floor(openFilesLimit(procRoot) / 2));
  }

  async sweep(): Promise<Sweep> {
    this.#sweeps++;
    const ticks = this.#ticksSinceBoot();
    const start = { ticks, at: this.#clock.monotonic() };
    for (const entry of this.#list()) {
      const pid = Number(entry);
      if (pid > 0) this.#sample(pid);
    }
    this.#forgetEnded();
    this.#before = start;
    return { ...this.#host(), processes: this.#tracked.values() };
  }

  close(): void {
    for (const tracked of this.#tracked.values()) this.#release(tracked);
    this.#tracked.clear();
  }

  #list(): string[] {
    try {
      return readdirSync(this.#root);
    } catch (error) {
      throw new MonitorError('unavailable', `cannot list ${this.#root}: processes cannot be seen here`, {
        cause: error,
      });
    }
  }

  #sample(pid: number): void {
    let tracked = this.#tracked.get(pid);
    const length =
      tracked?.fd != null
        ? this.#readKept(tracked.fd)
        : readProcFile(join(this.#root, String(pid), 'stat'), this.#buffer);
    if (length <= 0 || !parseStat(this.#buffer, length, this.#stat)) {
      if (tracked?.fd == null) return;
      // The descriptor's process has ended; the pid may be another's by now.
      this.#forget(tracked);
      this.#sample(pid);
      return;
    }
    const now = { used: this.#stat.cpuTicks, at: this.#clock.monotonic() };
    if (tracked && tracked.startTicks !== this.#stat.startTicks) {
      this.#forget(tracked);
      tracked = undefined;
    }
    if (tracked) {
      tracked.cpu = cpuPercent(tracked.reading, now, this.#system.ticksPerSecond);
      tracked.idle = now.used > tracked.reading.used ? 0 : tracked.idle + 1;
      if (this.#hasIo) this.#readIo(tracked, tracked.io, now.at - tracked.reading.at);
      tracked.reading = now;
    } else {
      tracked = this.#begin(pid, now);
    }
    this.#update(tracked);
  }

  #readIo(tracked: Tracked, before: ProcessIo | null, elapsedMs: number): void {
    const io = readProcessIo(join(this.#root, String(tracked.pid), 'io'), this.#ioBuffer);
    const rate = (key: keyof ProcessIo) => before && io && bytesPerSecond(before[key], io[key], elapsedMs);
    tracked.ioReadBytesPerSecond = rate('read');
    tracked.ioWriteBytesPerSecond = rate('written');
    tracked.io = io;
  }

  /** A process born since the last sweep is credited with all it has used; an older one is unknown yet. */
  #begin(pid: number, now: CpuReading): Tracked {
    const born = this.#before !== null && this.#stat.startTicks >= this.#before.ticks;
    const tracked: Tracked = {
      pid,
      name: '',
      cpu: born && this.#before ? cpuPercent({ used: 0, at: this.#before.at }, now, this.#system.ticksPerSecond) : null,
      rssBytes: 0,
      kernel: (this.#stat.flags & kernelThreadFlag) !== 0,
      startTicks: this.#stat.startTicks,
      reading: now,
      io: null,
      nameBytes: new Uint8Array(0),
      fd: null,
      idle: 0,
      seen: 0,
    };
    this.#tracked.set(pid, tracked);
    if (this.#hasIo)
      this.#readIo(tracked, born ? { read: 0, written: 0 } : null, now.at - (this.#before?.at ?? now.at));
    return tracked;
  }

  #update(tracked: Tracked): void {
    tracked.seen = this.#sweeps;
    tracked.rssBytes = this.#stat.rssPages * this.#system.pageBytes;
    tracked.threads = this.#stat.threads;
    const { nameStart, nameEnd } = this.#stat;
    if (
      this.#buffer.compare(tracked.nameBytes, 0, tracked.nameBytes.length, nameStart, nameEnd) !== 0 ||
      tracked.name === ''
    ) {
      tracked.nameBytes = Uint8Array.prototype.slice.call(this.#buffer, nameStart, nameEnd);
      tracked.name = processName(this.#buffer.toString('utf8', nameStart, nameEnd));
    }
    if (tracked.fd === null && this.#kept < this.#maxKept) this.#keep(tracked);
    else if (tracked.fd !== null && this.#kept >= this.#maxKept && tracked.idle >= idleSweeps) this.#release(tracked);
  }

  #readKept(fd: number): number {
    try {
      return readSync(fd, this.#buffer, 0, this.#buffer.length, 0);
    } catch {
      return -1;
    }
  }

  #keep(tracked: Tracked): void {
    // An idle process may wait: with few places left they are for those that work.
    if (tracked.idle >= idleSweeps && this.#kept > this.#maxKept / 2) return;
    try {
      tracked.fd = openSync(join(this.#root, String(tracked.pid), 'stat'), 'r');
      this.#kept++;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EMFILE') this.#keepFewer();
    }
  }

  /** Others in this process need descriptors too: half of those kept are given back. */
  #keepFewer(): void {
    this.#maxKept = Math.floor(this.#kept / 2);
    for (const tracked of this.#tracked.values()) if (this.#kept > this.#maxKept) this.#release(tracked);
  }

  #release(tracked: Tracked): void {
    if (tracked.fd === null) return;
    closeSync(tracked.fd);
    tracked.fd = null;
    this.#kept--;
  }

  #forget(tracked: Tracked): void {
    this.#release(tracked);
    this.#tracked.delete(tracked.pid);
  }

  #forgetEnded(): void {
    for (const tracked of this.#tracked.values()) if (tracked.seen !== this.#sweeps) this.#forget(tracked);
  }

  /** The host's own figures; inside a container with limits, the container's. */
  #host(): Omit<Sweep, 'processes'> {
    const limits = this.#cgroup.limits();
    const limited = limits.cores !== null || limits.memoryBytes !== null;
    const usage = limited ? this.#cgroup.usage() : null;
    return {
      busy: this.#busy(usage?.cpuSeconds ?? null),
      cores: Math.min(this.#hostCores, limits.cores ?? Infinity),
      memoryBytes: Math.min(this.#memoryTotal(), limits.memoryBytes ?? Infinity),
      limitedBy: limited ? 'cgroup' : 'host',
      usedBytes: limits.memoryBytes === null ? null : (usage?.memoryBytes ?? null),
    };
  }

  /** Null also when what is counted has changed, as when a limit is set on a running container. */
  #busy(cgroupSeconds: number | null): number | null {
    const found = this.#busySeconds(cgroupSeconds);
    const before = this.#busyBefore;
    this.#busyBefore = found && { reading: { used: found.seconds, at: this.#clock.monotonic() }, of: found.of };
    if (this.#busyBefore === null || before?.of !== this.#busyBefore.of) return null;
    const busy = cpuPercent(before.reading, this.#busyBefore.reading, 1);
    return busy === null ? null : Math.min(busy, this.#hostCores * 100);
  }

  /**
   * A container's own time where it has limits; else of the host what is exact, and ticks where nothing is. The exact
   * ones are of tasks: what interrupts have used comes in ticks in any case.
   */
  #busySeconds(cgroupSeconds: number | null): { seconds: number; of: BusyClock } | null {
    if (cgroupSeconds !== null) return { seconds: cgroupSeconds, of: 'cgroup' };
    const ticks = this.#busyTicks();
    const inTicks = (count: number) => count / this.#system.ticksPerSecond;
    const root = this.#cgroup.rootCpuNanoseconds();
    if (root !== null) return { seconds: root / 1e9 + inTicks(ticks?.interrupts ?? 0), of: 'cpuacct' };
    const scheduled = scheduledNanoseconds(readProcText(join(this.#root, 'schedstat')));
    if (scheduled !== null) return { seconds: scheduled / 1e9 + inTicks(ticks?.interrupts ?? 0), of: 'schedstat' };
    return ticks === null ? null : { seconds: inTicks(ticks.all), of: 'ticks' };
  }

  /** All but idle and iowait of the first line of /proc/stat; guest time is in user already. */
  #busyTicks(): { all: number; interrupts: number } | null {
    const length = readProcFile(join(this.#root, 'stat'), this.#buffer);
    if (length <= 0) return null;
    const line = this.#buffer.toString('latin1', 0, Math.max(0, this.#buffer.subarray(0, length).indexOf(10)));
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
      .split(/\s+/)
      .slice(1)
      .map(Number);
    const interrupts = irq + softirq;
    return { all: user + nice + system + interrupts + steal, interrupts };
  }

  #memoryTotal(): number {
    const length = readProcFile(join(this.#root, 'meminfo'), this.#buffer);
    const match = /^MemTotal:\s+(\d+) kB/m.exec(this.#buffer.toString('latin1', 0, Math.max(0, length)));
    if (!match) throw new MonitorError('unavailable', `${this.#root}/meminfo does not say how much memory there is`);
    return Number(match[1]) * 1024;
  }

  /** /proc/uptime counts as start times do: hundredths of a second since boot, suspends included. */
  #ticksSinceBoot(): number {
    const length = readProcFile(join(this.#root, 'uptime'), this.#buffer);
    const seconds = Number.parseFloat(this.#buffer.toString('latin1', 0, Math.max(0, length)));
    return Math.floor(seconds * this.#system.ticksPerSecond);
  }
}

/**
 * Nanoseconds that tasks have run, over all processors: the seventh figure of each `cpu` line of version 15 and later
 * (https://docs.kernel.org/scheduler/sched-stats.html). Null for other versions, or without such lines.
 */
export function scheduledNanoseconds(schedstat: string | null): number | null {
  const version = Number(/^version (\d+)$/m.exec(schedstat ?? '')?.[1]);
  const lines = schedstat?.match(/^cpu\d+ .*$/gm) ?? [];
  if (!(version >= 15) || lines.length === 0) return null;
  const sum = lines.reduce((total, line) => total + Number(line.split(' ')[7]), 0);
  return Number.isFinite(sum) ? sum : null;
}

/** What the kernel calls a process, kept apart from the names of our own rows. */
function processName(comm: string): string {
  const name = comm === '' ? '(unnamed)' : comm;
  return reservedNames.has(name) ? `${name} (process)` : name;
}

/**
 * Clock ticks per second and the page size from this process' auxiliary vector (getauxval(3)): the way
 * to ask that needs no child process. The fallbacks are what nearly every machine has.
 */
function systemConstants(procRoot: string): { ticksPerSecond: number; pageBytes: number } {
  const [pageSizeEntry, clockTicksEntry] = [6n, 17n];
  const buffer = Buffer.alloc(1024);
  const length = readProcFile(join(procRoot, 'self/auxv'), buffer);
  const entries = new Map<bigint, number>();
  for (let at = 0; at + 16 <= length; at += 16)
    entries.set(buffer.readBigUInt64LE(at), Number(buffer.readBigUInt64LE(at + 8)));
  return { ticksPerSecond: entries.get(clockTicksEntry) ?? 100, pageBytes: entries.get(pageSizeEntry) ?? 4096 };
}

/** How many files this process may have open. */
function openFilesLimit(procRoot: string): number {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readProcText(join(procRoot, 'self/limits')) ?? '') ?? [];
  return Number(soft ?? maxKeptDescriptors);
}
