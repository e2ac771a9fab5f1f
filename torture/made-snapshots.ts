import { gzipSync } from 'node:zlib';
import { seededRandom } from './random.ts';

/** Bodies as collectors send them, with figures that gzip has to work on. */
const random = seededRandom(1);

export function bodyOf(host: string, time: number, processes = 3, cpu = 1): object {
  const column = <T>(value: (index: number) => T) => Array.from({ length: processes }, (_, index) => value(index));
  return {
    host,
    time: new Date(time).toISOString(),
    interval: 10,
    cores: 8,
    memoryBytes: 32_000_000_000,
    system: { cpu: 10, memory: 20 },
    processes: {
      name: column((i) => `process-${i}`),
      cpu: column(() => cpu + Math.round(random() * 5000) / 1000),
      memory: column(() => Math.round(random() * 9000) / 1000),
      count: column(() => 1),
      pid: column((i) => 1000 + i),
      rssBytes: column(() => 4096 * Math.round(random() * 1e6)),
    },
  };
}

/** Level 1: it is made by the ten thousand. */
export function gzipBody(body: object): Buffer {
  return gzipSync(JSON.stringify(body), { level: 1 });
}
