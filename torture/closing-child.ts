// A store that takes snapshots and closes their hours all the time. Arguments: the store's URL, when it begins. Prints the time of each snapshot once it is acknowledged.
import type { Snapshot } from '../src/core/snapshot.ts';
import { openStore } from '../src/store/open.ts';

const [url, start] = [String(process.argv[2]), Number(process.argv[3])];
const stepMs = 30_000;
const processes = 40;
const say = (text: string) => process.stderr.write(`${text}\n`);
const store = await openStore(url, { retentionMs: 400 * 86_400_000, warn: say });

const column = <T>(value: (index: number) => T) => Array.from({ length: processes }, (_, index) => value(index));
const snapshot = (time: number): Snapshot => ({
  host: `host-${(time / stepMs) % 3}`,
  ip: null,
  time,
  intervalMs: stepMs,
  bootId: null,
  cores: 8,
  memoryBytes: 32e9,
  limitedBy: 'host',
  metrics: {},
  processes: {
    name: column((i) => `process-${i}`),
    cpu: column((i) => ((time / stepMs) % 97) + i),
    cpuMax: column((i) => ((time / stepMs) % 97) + i),
    memory: column(() => 5),
    memoryMax: column(() => 5),
    rssBytes: column((i) => 4096 * i),
    count: column(() => 1),
    pid: column((i) => i),
    threads: column(() => null),
    ioReadBytesPerSecond: column(() => null),
    ioWriteBytesPerSecond: column(() => null),
  },
});

// Everything is over at once, so that what comes next for the same hour is late.
const close = async () => {
  for (let now = Date.now() + 400 * 86_400_000; ; now += 7 * 3_600_000) await store.compact(now);
};
const take = async () => {
  for (let time = start; ; time += stepMs * 8) {
    const times = Array.from({ length: 8 }, (_, k) => time + k * stepMs);
    await store.append({ snapshots: times.map(snapshot) });
    process.stdout.write(`${time}\n`);
  }
};
await Promise.all([close(), take()]);
