import type { Disk } from '../src/collector/disk.ts';
import { Sender } from '../src/collector/sender.ts';
import { Spool, spoolLimits } from '../src/collector/spool.ts';
import { gzipBody } from './made-snapshots.ts';
import { seededRandom } from './random.ts';
import { type Scenario, scaled } from './scenario.ts';
import { VirtualTime } from './virtual-time.ts';

const awayFrom = 60_000;
const backAt = 360_000;
const end = 480_000;
const intervalMs = 10_000;

/** 1,000 real senders on a virtual clock lose their server for five minutes. */
export const herd: Scenario = {
  name: 'herd',
  behaviour: 'collectors come back from an outage one after the other',
  async run(scale) {
    const collectors = scaled(1000, Math.max(0.2, scale));
    const time = new VirtualTime();
    const returns = new Map<number, number>();
    const spools = await Promise.all(
      Array.from({ length: collectors }, (_, i) =>
        startCollector(time, i, (at) => returns.get(i) ?? returns.set(i, at)),
      ),
    );
    await time.runUntil(end);
    const offsets = [...returns.values()].map((at) => (at - backAt) / 1000);
    const last = Math.max(...offsets);
    const perSecond = new Map<number, number>();
    for (const offset of offsets) perSecond.set(Math.floor(offset), (perSecond.get(Math.floor(offset)) ?? 0) + 1);
    const busiest = Math.max(...perSecond.values());
    const mean = collectors / Math.max(1, last);
    const waiting = spools.reduce((sum, spool) => sum + spool.counts.spooled, 0);
    const dropped = spools.reduce((sum, spool) => sum + spool.counts.dropped, 0);
    return [
      {
        promise: 'after an outage of 5 minutes all collectors are back within 60 s, and not all at once',
        figure: `${returns.size} of ${collectors} back, the last after ${last.toFixed(0)} s; busiest second ${busiest}, ${(busiest / mean).toFixed(1)}x the mean; ${dropped} lost, ${waiting} waiting`,
        holds: returns.size === collectors && last <= 60 && busiest <= 3 * mean && dropped === 0 && waiting === 0,
      },
    ];
  },
};

async function startCollector(time: VirtualTime, index: number, isBack: (at: number) => void): Promise<Spool> {
  const random = seededRandom(index + 1);
  const spool = await Spool.open(memoryDisk(), spoolLimits(intervalMs));
  const client = {
    server: 'http://herd',
    put: async () => {
      const now = time.monotonic();
      const away = now >= awayFrom && now < backAt;
      await time.sleep(away ? 5 : 20);
      if (now >= backAt) isBack(now);
      return { status: away ? null : 204, detail: '', retryAfterMs: null };
    },
    close: async () => undefined,
  };
  const log = { info: () => undefined, warn: () => undefined };
  const sleep = (ms: number, signal: AbortSignal) => time.sleep(ms, signal);
  const sender = new Sender({ spool, client, clock: time, random, log, sleep });
  sender.start();
  const body = gzipBody({ index });
  const tick = async () => {
    sender.wake(await spool.put(time.now(), body));
    if (time.monotonic() < end - 60_000) time.at(time.monotonic() + intervalMs, tick);
  };
  time.at(random() * intervalMs, tick);
  return spool;
}

function memoryDisk(): Disk {
  const files = new Map<string, Uint8Array>();
  return {
    list: async () => [...files.keys()],
    read: async (name) => {
      const data = files.get(name);
      if (!data) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
      return data;
    },
    write: async (name, data) => void files.set(name, data),
    overwrite: async (name, position, data) => {
      const file = files.get(name);
      file?.set(data, position);
    },
    rename: async (from, to) => {
      files.set(to, files.get(from) as Uint8Array);
      files.delete(from);
    },
    remove: async (name) => void files.delete(name),
    sync: async () => undefined,
  };
}
