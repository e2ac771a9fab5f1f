import { emptyColumns, type ProcessColumns, pushUsage, type Snapshot, unknownUsage } from '../src/core/snapshot.ts';

/**
 * Synthetic hosts, the same in every run: 70 % of the processes idle, CPU with one decimal, memory that
 * steps now and then, and a few processes over the usual threshold. 120 names over all hosts plus names of the host's own.
 */
export function syntheticColumns(host: number, step: number, processes: number): ProcessColumns {
  const columns = emptyColumns();
  for (let i = 0; i < processes; i++) {
    const noise = hash(host * 7919 + i * 104_729 + step * 31);
    const idle = hash(host * 31 + i) % 10 < 7;
    const cpu = cpuOf(i, idle, noise);
    const memory = ((hash(i * 13 + host) % 300) + (hash(step * 17 + i) % 5 === 0 ? 1 : 0)) / 100;
    const name = i < 120 ? `service-${i}` : `worker-${host % 5}-${i}`;
    pushUsage(columns, {
      ...unknownUsage(name),
      cpu,
      cpuMax: cpu,
      memory,
      memoryMax: memory,
      rssBytes: Math.round(memory * 320_000_000),
      pid: 1000 + i * 3,
    });
  }
  return columns;
}

export function syntheticSnapshot(host: number, time: number, step: number, processes: number): Snapshot {
  return {
    host: `host-${host}`,
    ip: `10.0.${host >> 8}.${host & 255}`,
    time,
    intervalMs: 10_000,
    bootId: 'bench',
    cores: 8,
    memoryBytes: 32_000_000_000,
    limitedBy: 'host',
    metrics: { 'system.cpu': 40, 'system.memory': 50 },
    processes: syntheticColumns(host, step, processes),
  };
}

/** The body a collector would send. */
export function snapshotBody(host: number, time: number, processes: number): object {
  const snapshot = syntheticSnapshot(host, time, Math.floor(time / 1000), processes);
  return {
    host: snapshot.host,
    ip: snapshot.ip,
    time: new Date(time).toISOString(),
    interval: 10,
    bootId: snapshot.bootId,
    cores: 8,
    memoryBytes: snapshot.memoryBytes,
    limitedBy: 'host',
    system: { cpu: 40, memory: 50 },
    processes: Object.fromEntries(
      // As a collector sends it: nothing of what is not known.
      Object.entries(snapshot.processes).filter(([, values]) => (values as unknown[]).some((value) => value !== null)),
    ),
  };
}

/** The same snapshot as InfluxDB line protocol, in milliseconds. */
export function lineProtocol(host: number, time: number, processes: number): string {
  const { name, cpu, cpuMax, memory, memoryMax, rssBytes, count, pid } = syntheticColumns(
    host,
    Math.floor(time / 1000),
    processes,
  );
  return name
    .map(
      (process, i) =>
        `process,host=host-${host},process=${process} cpu=${cpu[i]},cpu_max=${cpuMax[i]},memory=${memory[i]},memory_max=${memoryMax[i]},rss_bytes=${rssBytes[i]}i,count=${count[i]}i,pid=${pid[i]}i ${time}`,
    )
    .join('\n');
}

/** The same as VictoriaMetrics imports it: a line of JSON for each of its seven figures. */
export function importLines(host: number, time: number, processes: number): string {
  const { name, cpu, cpuMax, memory, memoryMax, rssBytes, count, pid } = syntheticColumns(
    host,
    Math.floor(time / 1000),
    processes,
  );
  const figures = { cpu, cpu_max: cpuMax, memory, memory_max: memoryMax, rss_bytes: rssBytes, count, pid };
  return Object.entries(figures)
    .flatMap(([figure, values]) =>
      name.map(
        (process, i) =>
          `{"metric":{"__name__":"process_${figure}","host":"host-${host}","process":"${process}"},"values":[${values[i]}],"timestamps":[${time}]}`,
      ),
    )
    .join('\n');
}

/** Of each host one process is always over the line, and two now and then: 1 % of all. */
function cpuOf(process: number, idle: boolean, noise: number): number {
  if (process === 7) return 90 + (noise % 80) / 10;
  if (process === 8 || process === 9) return (noise % 1000) / 10;
  return idle ? 0 : (noise % 400) / 10;
}

function hash(value: number): number {
  let x = (value ^ 0x9e37_79b9) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b) >>> 0;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}
