import { gzipSync } from 'node:zlib';

/** Bodies as collectors send them. */

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
      cpu: column((i) => cpu + ((i * 7) % 50) / 10),
      memory: column((i) => ((i * 13) % 97) / 10),
      count: column(() => 1),
      pid: column((i) => 1000 + i),
      rssBytes: column((i) => 1_000_000 + i * 4096),
    },
  };
}

/** Level 1: it is made by the ten thousand. */
export function gzipBody(body: object): Buffer {
  return gzipSync(JSON.stringify(body), { level: 1 });
}
