import { gzipSync } from 'node:zlib';
import type { Clock } from '../core/clock.ts';
import { type DesiredSettings, isSameDesired, nothingDesired } from '../core/collector-settings.ts';
import { formatDuration } from '../core/duration.ts';
import { messageOf } from '../core/error.ts';
import { type ProcessColumnId, processColumn, processColumnIds } from '../core/metric.ts';
import type { ProcessSource, Sweep } from '../core/process-source.ts';
import { type ProcessColumns, roundPercent } from '../core/snapshot.ts';
import { ConditionReporter } from '../platform/condition-reporter.ts';
import type { Log } from '../platform/log.ts';
import { ownAddress } from '../platform/own-address.ts';
import type { ProcessColumnsBody, SnapshotBody } from '../wire/snapshot.ts';
import type { Sender } from './sender.ts';
import { accountsLine, type Spool, spoolLimits } from './spool.ts';
import type { SystemTotals, SystemTotalsReader } from './system-totals.ts';
import { groupByName } from './usage-groups.ts';

export interface CollectorOptions {
  host: string;
  bootId: string | null;
  intervalMs: number;
  clock: Clock;
  source: ProcessSource;
  totals: SystemTotalsReader;
  spool: Spool;
  sender: Sender;
  log: Pick<Log, 'info' | 'warn'>;
  /** What the server wanted last, over a restart; absent: nothing, and it is not kept. */
  desired?: DesiredStorage;
}

export interface DesiredStorage {
  settings: DesiredSettings;
  keep(settings: DesiredSettings): Promise<void>;
}

/** CPU needs two sweeps: the second follows soon, so that the first screen has figures. */
const secondSweepMs = 2_000;
const closeGraceMs = 3_000;

/** Sweeps at every interval, puts each snapshot into the spool, and tells the sender. */
export class Collector {
  readonly #options: CollectorOptions;
  #cpuBefore: { cpu: NodeJS.CpuUsage; at: number } | null = null;
  #next: NodeJS.Timeout | undefined;
  #isClosed = false;
  #desired: DesiredSettings;
  /** In force: of the grid on which sweeps lie, and in what is sent. */
  #intervalMs: number;
  /** Where the grid begins, and when the last tick did. By the monotonic clock. */
  #start = 0;
  #tickedAt = 0;
  /** When the next one is due, where it is waited for. */
  #dueAt = 0;
  /** What the last sweep has told of the host. */
  #about: Pick<SnapshotBody, 'cores' | 'memoryBytes' | 'limitedBy'> = {};
  #ticking: Promise<void> = Promise.resolve();
  readonly #failure: ConditionReporter;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#failure = new ConditionReporter(() => options.clock.monotonic());
    this.#desired = options.desired?.settings ?? nothingDesired;
    this.#intervalMs = this.#desired.intervalMs ?? options.intervalMs;
  }

  /** Resolves after the first snapshot has been taken. */
  async start(): Promise<void> {
    const { sender, spool } = this.#options;
    spool.widen(spoolLimits(this.#intervalMs));
    if (!isSameDesired(this.#desired, nothingDesired)) this.#sayDesired();
    sender.start();
    await this.tick();
    this.#start = this.#tickedAt;
    // The second is early; all others lie on a grid of intervals: a timer alone comes later and later.
    this.#aim(Math.min(secondSweepMs, this.#intervalMs / 2));
  }

  /** What the server wants, as each of its answers says: in force with the next sweep, which comes no later than it would have. */
  follow(desired: DesiredSettings): void {
    if (this.#isClosed || isSameDesired(desired, this.#desired)) return;
    const { intervalMs: own, spool, desired: kept, log } = this.#options;
    const hadPaused = this.#desired.isPaused;
    const before = this.#intervalMs;
    this.#desired = desired;
    this.#intervalMs = desired.intervalMs ?? own;
    spool.widen(spoolLimits(this.#intervalMs));
    this.#sayDesired();
    kept?.keep(desired).catch((error: unknown) => log.warn(`this is not kept over a restart: ${messageOf(error)}`));
    // CPU is measured between two sweeps, and the one before the pause is long ago.
    if (hadPaused && !desired.isPaused) void this.#alone(() => this.#beginAfresh());
    if (this.#intervalMs !== before) this.#beginGrid(before);
  }

  #sayDesired(): void {
    const { log, host } = this.#options;
    const pace = `every ${formatDuration(this.#intervalMs)}`;
    if (this.#desired.isPaused) log.info(`the server wants ${host} paused: only that it lives is reported, ${pace}`);
    else
      log.info(
        `${host} is reported ${pace}, ${this.#desired.intervalMs === null ? 'its own interval' : 'as the server wants it'}`,
      );
  }

  async #beginAfresh(): Promise<void> {
    await this.#options.source.sweep();
    this.#ownCpu();
  }

  /** A new grid, on which the next sweep comes no later than it would have. */
  #beginGrid(intervalBefore: number): void {
    const isTicking = this.#next === undefined;
    const dueAt = isTicking ? this.#tickedAt + intervalBefore : this.#dueAt;
    clearTimeout(this.#next);
    this.#start = Math.min(dueAt, this.#tickedAt + this.#intervalMs) - this.#intervalMs;
    if (!isTicking) this.#aim(this.#intervalMs);
  }

  /** Sweeps `after` milliseconds after the beginning of the grid, and then on it; what a slow sweep has missed is left out. */
  #aim(after: number): void {
    const { clock } = this.#options;
    const start = this.#start;
    const elapsed = () => clock.monotonic() - this.#start;
    this.#dueAt = start + after;
    this.#next = setTimeout(
      async () => {
        this.#next = undefined;
        // Timers may fire a fraction of a millisecond early.
        const at = Math.max(elapsed(), after) + 1;
        await this.tick();
        const due = this.#start === start ? Math.floor(at / this.#intervalMs) + 1 : 1;
        if (!this.#isClosed) this.#aim(Math.max(due, Math.ceil(elapsed() / this.#intervalMs)) * this.#intervalMs);
      },
      Math.max(0, after - elapsed()),
    );
  }

  /** One sweep. A failure is said once and the next tick tries again. */
  tick(): Promise<void> {
    return this.#alone(async () => {
      this.#tickedAt = this.#options.clock.monotonic();
      await (this.#desired.isPaused ? this.#sayAlive() : this.#takeSnapshot());
      this.#failure.end(() => this.#options.log.info('snapshots are taken again'));
    });
  }

  /** One sweep after the other. */
  #alone(work: () => Promise<void>): Promise<void> {
    this.#ticking = this.#ticking.then(work).catch((error: unknown) => {
      const why = `cannot take a snapshot: ${messageOf(error)}; trying again at every interval`;
      this.#failure.begin(() => this.#options.log.warn(why));
    });
    return this.#ticking;
  }

  /** Of a host that is paused: that it lives, and nothing of what it does. */
  async #sayAlive(): Promise<void> {
    const time = this.#options.clock.now();
    // After a restart it has not looked at this host yet.
    if (this.#about.cores === undefined) this.#about = aboutHost(await this.#options.source.sweep());
    const collector = { paused: 1, ...accounting(this.#options.spool) };
    const processes = { name: [], cpu: [], memory: [] };
    await this.#keep(time, gzipSync(JSON.stringify({ ...this.#head(time), ...this.#about, collector, processes })));
  }

  /** Stops sweeping, delivers what can be delivered within seconds, and lets go of everything. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#next);
    await this.#ticking;
    const { sender, spool, source, log } = this.#options;
    await sender.close(closeGraceMs);
    source.close();
    log.info(`snapshots: ${accountsLine(spool.counts)}`);
  }

  async #takeSnapshot(): Promise<void> {
    const { clock, source, totals } = this.#options;
    const started = clock.monotonic();
    const time = clock.now();
    const sweep = await source.sweep();
    const { columns, busy } = groupByName(sweep);
    const sweepMs = clock.monotonic() - started;
    const system = await totals.read(started);
    const body = this.#body(time, { ...sweep, busy }, system, columns, sweepMs);
    await this.#keep(time, gzipSync(JSON.stringify(body)));
  }

  /** Into the spool; where the disk takes no more, straight to the server, or at the cost of the oldest. */
  async #keep(time: number, body: Uint8Array): Promise<void> {
    const { sender, spool, log } = this.#options;
    const { dropped } = spool.counts;
    try {
      sender.wake(await spool.put(time, body));
    } catch (error) {
      const how = await sender.sendAtOnce(body);
      if (how === null) await this.#keepInsteadOfOldest(time, body, error);
      else await spool.pass(how);
    }
    if (dropped === 0 && spool.counts.dropped > 0)
      log.warn('the spool is full: from now on its oldest snapshots are dropped');
  }

  async #keepInsteadOfOldest(time: number, body: Uint8Array, cause: unknown): Promise<void> {
    const { sender, spool } = this.#options;
    try {
      await spool.dropOldest();
      sender.wake(await spool.put(time, body));
    } catch {
      await spool.lose(time);
      throw cause;
    }
  }

  #body(time: number, sweep: Sweep, system: SystemTotals, processes: ProcessColumns, sweepMs: number): SnapshotBody {
    const { cores, memoryBytes, busy, usedBytes } = sweep;
    const round = (value: number | null) => (value === null ? null : roundPercent(value));
    this.#about = aboutHost(sweep);
    return {
      ...this.#head(time),
      ...this.#about,
      system: {
        cpu: round(busy === null ? null : Math.min(100, busy / cores)),
        memory: round(usedBytes === null ? system.memory : (usedBytes / memoryBytes) * 100),
        swap: round(system.swap),
        disk: round(system.disk),
        load1: round(system.load1),
        temperature: round(system.temperature),
      },
      collector: {
        cpu: round(this.#ownCpu()),
        memoryBytes: process.memoryUsage.rss(),
        sweepMs: roundPercent(sweepMs),
        ...accounting(this.#options.spool),
      },
      processes: withoutUnknown(processes),
    };
  }

  /** What every snapshot begins with. */
  #head(time: number): Pick<SnapshotBody, 'host' | 'ip' | 'time' | 'interval' | 'bootId'> {
    const { host, bootId } = this.#options;
    const ip = ownAddress();
    const seconds = this.#intervalMs / 1000;
    return { host, ...(ip !== null && { ip }), time: new Date(time).toISOString(), interval: seconds, bootId };
  }

  /** This process' CPU since the sweep before, percent of one core. */
  #ownCpu(): number | null {
    const now = { cpu: process.cpuUsage(), at: this.#options.clock.monotonic() };
    const before = this.#cpuBefore;
    this.#cpuBefore = now;
    if (!before || now.at <= before.at) return null;
    const microseconds = now.cpu.user + now.cpu.system - before.cpu.user - before.cpu.system;
    return (microseconds / 1000 / (now.at - before.at)) * 100;
  }
}

function aboutHost({
  cores,
  memoryBytes,
  limitedBy,
}: Sweep): Pick<SnapshotBody, 'cores' | 'memoryBytes' | 'limitedBy'> {
  return { cores, memoryBytes, limitedBy };
}

/** Columns of which nothing is known are not sent, as far as they may be left out. */
function withoutUnknown(columns: ProcessColumns): ProcessColumnsBody {
  const isTold = (id: ProcessColumnId) => processColumn(id).isRequired || columns[id].some((value) => value !== null);
  const told = processColumnIds.filter(isTold).map((id) => [id, columns[id]]);
  return { name: columns.name, ...Object.fromEntries(told) };
}

/** As it will be once the snapshot that says so is in the spool: the server learns of every gap. */
function accounting(spool: Spool): NonNullable<SnapshotBody['collector']> {
  const { taken, stored, expired, dropped, quarantined, spooled } = spool.counts;
  const { gap } = spool;
  return {
    taken: taken + 1,
    stored,
    expired,
    dropped,
    quarantined,
    spooled: spooled + 1,
    ...(gap !== null && { gapFromMs: gap.from, gapToMs: gap.to }),
  };
}
