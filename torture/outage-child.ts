// Three days without a server in one minute. Arguments: spool folder, snapshots. Prints JSON lines.
import { Collector } from '../src/collector/collector.ts';
import { FolderDisk } from '../src/collector/disk.ts';
import { Sender } from '../src/collector/sender.ts';
import { Spool, spoolLimits } from '../src/collector/spool.ts';
import type { SystemTotalsReader } from '../src/collector/system-totals.ts';
import { keepHeapSmall } from '../src/platform/small-heap.ts';

keepHeapSmall();
const [folder, count] = [String(process.argv[2]), Number(process.argv[3])];
const intervalMs = 10_000;
const time = { now: Date.UTC(2026, 10, 20), monotonic: 0 };
const clock = { now: () => time.now, monotonic: () => time.monotonic };
const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
const rss = () => process.memoryUsage.rss();

let seed = 1;
const random = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};

/** 300 processes with figures as random as can be: close to the worst case for gzip. */
const source = {
  sweep: async () => ({
    cores: 8,
    memoryBytes: 32e9,
    limitedBy: 'host' as const,
    busy: random() * 800,
    usedBytes: null,
    processes: Array.from({ length: 300 }, (_, i) => ({
      pid: 1000 + i,
      name: `process-${i}`,
      cpu: random() * 100,
      rssBytes: Math.floor(random() * 1e9),
      kernel: false,
    })),
  }),
  close: () => undefined,
};

const begin = performance.now();
const before = rss();
const spool = await Spool.open(new FolderDisk(folder), spoolLimits(intervalMs));
say({
  openMs: performance.now() - begin,
  openBytes: rss() - before,
  spooled: spool.counts.spooled,
  bytes: spool.bytes,
});
const log = { info: () => undefined, warn: () => undefined };
const client = {
  server: 'http://away',
  put: async () => ({ status: null, detail: '', retryAfterMs: null }),
  close: async () => undefined,
};
const sleeping = new Set<{ at: number; resolve: () => void }>();
const sleep = (ms: number) => new Promise<void>((resolve) => sleeping.add({ at: time.monotonic + ms, resolve }));
const sender = new Sender({ spool, client, clock, random, log, sleep });
const totals = {
  read: async () => ({ memory: 50, swap: 0, disk: 60, load1: 1, temperature: null }),
} as unknown as SystemTotalsReader;
const collector = new Collector({ host: 'away', bootId: null, intervalMs, clock, source, totals, spool, sender, log });
sender.start();
for (let i = 1; i <= count; i++) {
  time.now += intervalMs;
  time.monotonic += intervalMs;
  for (const entry of sleeping) if (entry.at <= time.monotonic && sleeping.delete(entry)) entry.resolve();
  await collector.tick();
  if (i % Math.ceil(count / 10) === 0 || i === count) say({ done: i, rss: rss(), ...spool.counts, bytes: spool.bytes });
}
process.exit();
