import { gzipSync } from 'node:zlib';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/error.ts';
import { type ProcessColumnId, processColumn, processColumnIds } from '../core/metric.ts';
import type { ProcessSource, Sweep } from '../core/process-source.ts';
import { type ProcessColumns, roundPercent } from '../core/snapshot.ts';
import { ConditionReporter } from '../platform/condition-reporter.ts';
import type { Log } from '../platform/log.ts';
import { ownAddress } from '../platform/own-address.ts';
import type { ProcessColumnsBody, SnapshotBody } from '../wire/snapshot.ts';
import type { Sender } from './sender.ts';
import { accountsLine, type Spool } from './spool.ts';
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
  #ticking: Promise<void> = Promise.resolve();
  readonly #failure: ConditionReporter;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#failure = new ConditionReporter(() => options.clock.monotonic());
  }

  /** Resolves after the first snapshot has been taken. */
  async start(): Promise<void> {
    const { sender, intervalMs } = this.#options;
    sender.start();
    const start = this.#options.clock.monotonic();
    await this.tick();
    // The second is early; all others lie on a grid of intervals: a timer alone comes later and later.
    this.#aim(start, Math.min(secondSweepMs, intervalMs / 2));
  }

  /** Sweeps `after` milliseconds after `start`, and then on the grid; what a slow sweep has missed is left out. */
  #aim(start: number, after: number): void {
    const { clock, intervalMs } = this.#options;
    const elapsed = () => clock.monotonic() - start;
    this.#next = setTimeout(
      async () => {
        // Timers may fire a fraction of a millisecond early.
        const due = Math.floor((Math.max(elapsed(), after) + 1) / intervalMs) + 1;
        await this.tick();
        if (!this.#isClosed) this.#aim(start, Math.max(due, Math.ceil(elapsed() / intervalMs)) * intervalMs);
      },
      Math.max(0, after - elapsed()),
    );
  }

  /** One sweep. A failure is said once and the next tick tries again. */
  tick(): Promise<void> {
    this.#ticking = this.#ticking.then(async () => {
      try {
        await this.#takeSnapshot();
        this.#failure.end(() => this.#options.log.info('snapshots are taken again'));
      } catch (error) {
        const why = `cannot take a snapshot: ${messageOf(error)}; trying again at every interval`;
        this.#failure.begin(() => this.#options.log.warn(why));
      }
    });
    return this.#ticking;
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
    const { host, bootId, intervalMs } = this.#options;
    const { cores, memoryBytes, limitedBy, busy, usedBytes } = sweep;
    const ip = ownAddress();
    const round = (value: number | null) => (value === null ? null : roundPercent(value));
    return {
      host,
      ...(ip !== null && { ip }),
      time: new Date(time).toISOString(),
      interval: intervalMs / 1000,
      bootId,
      cores,
      memoryBytes,
      limitedBy,
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
