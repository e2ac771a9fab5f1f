import { gunzipSync } from 'node:zlib';
import { pino } from 'pino';
import type { PutOutcome } from '../src/client/monitor-client.ts';
import { Collector } from '../src/collector/collector.ts';
import { Sender, type SnapshotReceiver } from '../src/collector/sender.ts';
import { Spool, type SpoolCounts } from '../src/collector/spool.ts';
import type { SystemTotalsReader } from '../src/collector/system-totals.ts';
import { MonitorError } from '../src/core/error.ts';
import { mostAheadMs } from '../src/core/host-clock.ts';
import type { ProcessSource } from '../src/core/process-source.ts';
import type { Snapshot } from '../src/core/snapshot.ts';
import type { Store } from '../src/core/store.ts';
import { ForgottenHosts } from '../src/hosts/forgotten-hosts.ts';
import { KnownHosts } from '../src/hosts/known-hosts.ts';
import { ServerClock } from '../src/hosts/server-clock.ts';
import { Expiry } from '../src/ingest/expiry.ts';
import { Ingest } from '../src/ingest/ingest.ts';
import { LatestUsage } from '../src/ingest/latest-usage.ts';
import { GroupCommit } from '../src/store/group-commit.ts';
import { MemoryStore } from '../src/store/memory.ts';
import { errorStatus } from '../src/wire/error-status.ts';
import type { SnapshotBody } from '../src/wire/snapshot.ts';
import { toSnapshot } from '../src/wire/snapshot-codec.ts';
import { overStore } from '../test/over-store.ts';
import { seededRandom } from './random.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { VirtualTime } from './virtual-time.ts';

/** Clocks that jump by days together must not make anything too old to be kept: that is another promise. */
const retentionMs = 30 * 86_400_000;
const intervalMs = 10_000;
const troubleMs = 10 * 60_000;
const healMs = 20 * 60_000;
/** The last minutes are for what is left. */
const lastSnapshotAt = troubleMs + healMs - 5 * 60_000;

export interface Simulated {
  /** What does not hold; null: all does. */
  problem: string | null;
  taken: number;
  kills: number;
}

/**
 * Ten minutes of trouble and twenty of peace: the real collector, sender, spool and ingest on a clock, a
 * network, a disk and dice of our own. The same seed is the same run.
 */
export async function simulate(seed: number): Promise<Simulated> {
  const world = new World(seed);
  await world.live();
  return world.verdict();
}

class World {
  readonly #random: () => number;
  readonly #time = new VirtualTime();
  readonly #disk: SimulatedDisk;
  readonly #server: SimulatedServer;
  readonly #limits: { bytes: number; snapshots: number };
  /** Times of the snapshots that were in the spool, certainly, or stored past it. */
  readonly #kept = new Set<number>();
  /** Snapshots that went past the spool, or were lost with it. */
  #past = 0;
  #spool: Spool | null = null;
  #running = 0;
  /** Only a spool that is too small, or a disk that was full, loses anything. */
  #mayDrop: boolean;
  #kills = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#disk = new SimulatedDisk(this.#time, this.#random);
    this.#server = new SimulatedServer(this.#time, this.#random);
    // Some spools are too small for the trouble to come.
    this.#mayDrop = this.#random() < 0.3;
    this.#limits = this.#mayDrop ? { bytes: 6000, snapshots: 1000 } : { bytes: 1e9, snapshots: 1000 };
  }

  async live(): Promise<void> {
    void this.#startCollector();
    this.#plan();
    await this.#time.runUntil(troubleMs);
    this.#disk.isFull = false;
    this.#server.heal();
    this.#time.wallOffsetMs = Date.UTC(2026, 10, 20);
    if (this.#spool === null) void this.#startCollector();
    await this.#time.runUntil(troubleMs + healMs);
  }

  verdict(): Simulated {
    const counts = (this.#spool as Spool).counts;
    return { problem: this.#problem(counts), taken: counts.taken, kills: this.#kills };
  }

  #problem(counts: SpoolCounts): string | null {
    const { taken, stored, expired, dropped, quarantined, spooled } = counts;
    const figures = JSON.stringify(counts);
    if (taken !== stored + expired + dropped + quarantined + spooled) return `the accounts do not add up: ${figures}`;
    if (dropped > 0 && !this.#mayDrop) return `snapshots count as dropped that were not: ${figures}`;
    // What was taken by a clock more than a day ahead waits for the server's to get there, and is tried now and then.
    const latest = this.#time.now() + mostAheadMs - healMs;
    const waiting = (this.#spool as Spool).oldest(Number.POSITIVE_INFINITY).filter(({ time }) => time <= latest);
    if (waiting.length > 0) return `after ${healMs / 60_000} quiet minutes snapshots still wait: ${figures}`;
    if (taken < this.#kept.size) return `more were kept (${this.#kept.size}) than counted: ${figures}`;
    // A kill can come between the rename of a file and the word that it is kept.
    if (taken > this.#kept.size + this.#past + 2 * this.#kills)
      return `more are counted than were taken (${this.#kept.size} kept, ${this.#past} past the spool): ${figures}`;
    const missing = [...this.#kept].filter((time) => !this.#server.has(time));
    if (missing.length > dropped + quarantined + spooled)
      return `${missing.length} snapshots are lost, such as that of ${missing[0]}: ${figures}`;
    return null;
  }

  /** Kills, power cuts, damage, full disks, and clocks that jump, at any moment. */
  #plan(): void {
    const some = (most: number, run: () => void) => {
      const count = Math.floor(this.#random() * (most + 1));
      for (let i = 0; i < count; i++) this.#time.at(this.#random() * troubleMs, run);
    };
    some(6, () => this.#kill(() => this.#disk.kill()));
    some(2, () => this.#kill(() => this.#disk.cutPower()));
    some(2, () => {
      this.#disk.isFull = true;
      this.#mayDrop = true;
      this.#time.at(this.#time.monotonic() + this.#random() * 120_000, () => {
        this.#disk.isFull = false;
      });
    });
    some(1, () => {
      const files = this.#disk.names().filter((name) => /^\d.*gz$/.test(name));
      const name = files[Math.floor(this.#random() * files.length)];
      if (name !== undefined) this.#disk.damage(name);
    });
    some(3, () => {
      const reach = [60_000, 3_600_000, 86_400_000][Math.floor(this.#random() * 3)] as number;
      this.#time.wallOffsetMs += (this.#random() - 0.5) * 2 * reach;
    });
    this.#server.plan(troubleMs);
  }

  #kill(how: () => void): void {
    how();
    this.#kills++;
    this.#running++;
    this.#spool = null;
    this.#time.at(this.#time.monotonic() + this.#random() * 30_000, () => void this.#startCollector());
  }

  async #startCollector(): Promise<void> {
    const own = ++this.#running;
    // The lock of the folder lets only one process in.
    this.#disk.kill();
    const isAlive = () => own === this.#running;
    const spool = await Spool.open(this.#disk.mount(), this.#limits);
    if (!isAlive()) return;
    this.#spool = this.#watched(spool);
    const quiet = { info: () => undefined, warn: () => undefined };
    const [clock, random] = [this.#time, this.#random];
    const client = this.#server.client(isAlive);
    const sleep = (ms: number, signal: AbortSignal) => this.#time.sleep(ms, signal);
    const sender = new Sender({ spool, client, clock, random, log: quiet, sleep });
    const totals = { read: async () => ({}) } as unknown as SystemTotalsReader;
    const given = { host: 'simulated', bootId: null, intervalMs, clock, totals, spool, sender, log: quiet };
    const collector = new Collector({ ...given, source: idleSource });
    sender.start();
    while (isAlive()) {
      if (this.#time.monotonic() < lastSnapshotAt) await collector.tick();
      await this.#time.sleep(intervalMs);
    }
  }

  /** Writes down what the spool has promised to keep. */
  #watched(spool: Spool): Spool {
    const put = spool.put.bind(spool);
    spool.put = async (time, data) => {
      const entry = await put(time, data);
      this.#kept.add(time);
      return entry;
    };
    const [pass, lose] = [spool.pass.bind(spool), spool.lose.bind(spool)];
    spool.pass = (how) => {
      this.#past++;
      return pass(how);
    };
    spool.lose = (time) => {
      this.#past++;
      return lose(time);
    };
    return spool;
  }
}

const idleSource = {
  sweep: async () => ({ cores: 1, memoryBytes: 1e9, limitedBy: 'host', busy: 1, usedBytes: 1e8, processes: [] }),
  close: () => undefined,
} as unknown as ProcessSource;

/** The real ingest over a store and a network that fail. */
class SimulatedServer {
  readonly #time: VirtualTime;
  readonly #random: () => number;
  readonly #ingest: Ingest;
  readonly #stored = new Set<number>();
  #isAway = false;
  #isStoreAway = false;
  #trouble = 0.2;

  constructor(time: VirtualTime, random: () => number) {
    this.#time = time;
    this.#random = random;
    const memory = new MemoryStore({ retentionMs, warn: () => undefined });
    const commit = new GroupCommit<Snapshot>(
      (group) => this.#write(memory, group),
      () => 1,
      { group: 50, queue: 500 },
    );
    const store = overStore(memory, {
      append: ({ snapshots = [] }) => commit.addAll(snapshots).then(() => ({ refused: [], beyondBudget: [] })),
    });
    const serverClock = new ServerClock(time, null);
    const log = pino({ level: 'silent' });
    const expiry = new Expiry({ store, clock: time, serverClock, log, retentionMs });
    const hosts = new KnownHosts({
      store,
      clock: time,
      serverClock,
      before: [],
      bootId: null,
      forgotten: new ForgottenHosts(undefined, time, 0),
    });
    this.#ingest = new Ingest({ store, hosts, expiry, clock: time, latestUsage: new LatestUsage(time) });
  }

  has(time: number): boolean {
    return this.#stored.has(time);
  }

  heal(): void {
    this.#isAway = false;
    this.#isStoreAway = false;
    this.#trouble = 0;
  }

  plan(untilMs: number): void {
    for (let i = 0; i < 4; i++) {
      const [from, length] = [this.#random() * untilMs, this.#random() * 240_000];
      const isStore = this.#random() < 0.5;
      const set = (away: boolean) => {
        if (isStore) this.#isStoreAway = away;
        else this.#isAway = away;
      };
      this.#time.at(from, () => set(true));
      this.#time.at(from + length, () => set(false));
    }
  }

  client(isAlive: () => boolean): SnapshotReceiver {
    return {
      server: 'http://simulated',
      put: async (_path, gzip) => {
        const outcome = await this.#overTheNetwork(gzip);
        if (!isAlive()) await new Promise<never>(() => undefined);
        return outcome;
      },
      close: async () => undefined,
    };
  }

  /** Lost on the way there or back, delayed, or there twice. */
  async #overTheNetwork(gzip: Uint8Array): Promise<PutOutcome> {
    await this.#time.sleep(this.#random() * 200);
    if (this.#isAway || this.#happens()) return this.#noAnswer();
    const twice = this.#happens();
    const answer = this.#handle(gzip);
    if (twice) {
      await this.#time.sleep(this.#random() * 60_000);
      await this.#handle(gzip);
    }
    const outcome = await answer;
    await this.#time.sleep(this.#random() * 200);
    return this.#isAway || this.#happens() ? this.#noAnswer() : outcome;
  }

  async #noAnswer(): Promise<PutOutcome> {
    await this.#time.sleep(this.#random() * 30_000);
    return { status: null, detail: 'lost', retryAfterMs: null };
  }

  async #handle(gzip: Uint8Array): Promise<PutOutcome> {
    if (this.#happens()) {
      const status = [429, 503, 500, 401][Math.floor(this.#random() * 4)] as number;
      return { status, detail: 'trouble', retryAfterMs: this.#random() < 0.5 ? 5000 : null };
    }
    try {
      const body = JSON.parse(gunzipSync(gzip).toString()) as SnapshotBody | SnapshotBody[];
      const snapshots = [body].flat().map((each) => toSnapshot(each, null));
      await this.#ingest.write(snapshots, { token: null, sentAt: null });
      return { status: 204, detail: '', retryAfterMs: null };
    } catch (error) {
      const code = error instanceof MonitorError ? error.code : 'invalid';
      return { status: errorStatus[code], detail: String(error), retryAfterMs: null };
    }
  }

  /** An outage before or after the commit: whoever asked cannot know which. */
  async #write(memory: Store, group: Snapshot[]): Promise<void> {
    await this.#time.sleep(this.#random() * 50);
    if (this.#isStoreAway) throw new MonitorError('unavailable', 'the store is away');
    if (this.#happens()) throw new MonitorError('unavailable', 'lost before the commit');
    await memory.append({ snapshots: group });
    for (const { time } of group) this.#stored.add(time);
    if (this.#happens()) throw new MonitorError('timeout', 'lost after the commit');
  }

  #happens(): boolean {
    return this.#random() < this.#trouble / 4;
  }
}
