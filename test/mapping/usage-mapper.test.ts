import { describe, expect, test } from 'vitest';
import type { MetricSample } from '../../src/core/sample.ts';
import { type Snapshot, usageAt } from '../../src/core/snapshot.ts';
import { parseMapping } from '../../src/mapping/parse-mapping.ts';
import { shippedMappings } from '../../src/mapping/shipped-mappings.ts';
import { UsageMapper } from '../../src/mapping/usage-mapper.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';

const GiB = 1024 ** 3;

function setUp(names = ['process-exporter', 'node-exporter']) {
  const time = { now: noon };
  const said: string[] = [];
  const state = { written: [] as Snapshot[], headers: [] as Snapshot[], isAway: false };
  const mappings = names.map((name) => {
    const mapping = shippedMappings.get(name);
    if (mapping === undefined) throw new Error(name);
    return mapping;
  });
  const log = { info: () => undefined, warn: (text: unknown) => void said.push(String(text)), error: () => undefined };
  const mapper = new UsageMapper(mappings, {
    write: async (snapshots) => {
      if (state.isAway) throw new Error('away');
      state.written.push(...snapshots);
    },
    hosts: async () => state.headers,
    clock: { now: () => time.now, monotonic: () => time.now },
    log,
  });
  const settle = async (ms = 10_000) => {
    time.now += ms;
    await mapper.work(false);
    return state.written.splice(0);
  };
  return { mapper, time, said, state, settle };
}

const sample = (
  metric: string,
  labels: Record<string, string>,
  time: number,
  value: MetricSample['value'],
): MetricSample => ({
  series: { metric, labels },
  kind: metric.endsWith('_total') ? 'counter' : 'gauge',
  value,
  time,
  owner: 'prometheus lab',
});

/** One scrape of process-exporter, with CPU in seconds so far. */
const processes = (
  time: number,
  groups: Record<string, { cpu: number; rss?: number; count?: number }>,
  instance = 'web-01:9256',
) =>
  Object.entries(groups).flatMap(([groupname, { cpu, rss = GiB, count = 1 }]) => [
    sample('namedprocess_namegroup_cpu_seconds_total', { instance, groupname, mode: 'user' }, time, cpu * 0.75),
    sample('namedprocess_namegroup_cpu_seconds_total', { instance, groupname, mode: 'system' }, time, cpu * 0.25),
    sample('namedprocess_namegroup_memory_bytes', { instance, groupname, memtype: 'resident' }, time, rss),
    sample('namedprocess_namegroup_memory_bytes', { instance, groupname, memtype: 'virtual' }, time, 9 * rss),
    sample('namedprocess_namegroup_num_procs', { instance, groupname }, time, count),
    sample('namedprocess_namegroup_num_threads', { instance, groupname }, time, 4 * count),
  ]);

/** One scrape of node-exporter of two cores, with seconds so far. */
const node = (time: number, idle: number, user: number, instance = 'web-01:9100') => [
  ...['0', '1'].flatMap((cpu) => [
    sample('node_cpu_seconds_total', { instance, cpu, mode: 'idle' }, time, idle),
    sample('node_cpu_seconds_total', { instance, cpu, mode: 'iowait' }, time, idle / 10),
    sample('node_cpu_seconds_total', { instance, cpu, mode: 'user' }, time, user),
  ]),
  sample('node_memory_MemTotal_bytes', { instance }, time, 8 * GiB),
  sample('node_memory_MemAvailable_bytes', { instance }, time, 2 * GiB),
  sample('node_load1', { instance }, time, 1.5),
  ...[
    ['size', 100],
    ['free', 60],
    ['avail', 20],
  ].map(([what, value]) =>
    sample(`node_filesystem_${what}_bytes`, { instance, mountpoint: '/', fstype: 'ext4' }, time, value as number),
  ),
];

const told = (snapshot: Snapshot | undefined) =>
  Object.fromEntries(
    (snapshot?.processes.name ?? []).map((name, index) => [
      name,
      usageAt(snapshot?.processes as Snapshot['processes'], index),
    ]),
  );

describe('what others have measured', () => {
  test('is the usage of a host and its processes, rates by their own times', async () => {
    const { mapper, settle } = setUp();
    mapper.take([
      ...node(noon - 32_000, 1000, 500),
      ...processes(noon - 30_000, { nginx: { cpu: 100 }, java: { cpu: 5000 } }),
    ]);
    expect(await settle()).toEqual([]);
    mapper.take([
      ...node(noon - 17_000, 1007, 508),
      ...processes(noon - 15_000, { nginx: { cpu: 103, count: 9 }, java: { cpu: 5022.5, rss: 4 * GiB } }),
    ]);
    const [snapshot, ...more] = await settle();
    expect(more).toEqual([]);
    expect(snapshot).toMatchObject({
      host: 'web-01',
      time: noon - 15_000,
      intervalMs: 15_000,
      cores: 2,
      memoryBytes: 8 * GiB,
      // 7 idle and 0.7 waiting of 15.7 seconds of each core.
      metrics: {
        'collector.mapped': 1,
        'system.memory': 75,
        'system.load1': 1.5,
        'system.cpu': 50.955,
        'system.disk': 66.667,
      },
    });
    const { nginx, java } = told(snapshot);
    expect(nginx).toMatchObject({ cpu: 20, cpuMax: 20, memory: 12.5, rssBytes: GiB, count: 9, threads: 36, pid: null });
    expect(java).toMatchObject({ cpu: 150, cpuMax: 150, memory: 50, memoryMax: 50 });
  });

  test('with a counter that has begun anew goes on from 0, and a group without a process is none', async () => {
    const { mapper, settle } = setUp();
    const at = (k: number) => noon - 60_000 + k * 15_000;
    mapper.take(processes(at(0), { a: { cpu: 1000 }, b: { cpu: 5 } }));
    mapper.take(processes(at(1), { a: { cpu: 3 }, b: { cpu: 8, count: 0 } }));
    const [snapshot] = await settle();
    expect(told(snapshot)).toMatchObject({ a: { cpu: 20, memory: null } });
    expect(snapshot?.processes.name).toEqual(['a']);
  });

  test('that comes in parts, late, twice or out of the past is each instant once', async () => {
    const { mapper, settle } = setUp(['process-exporter']);
    const at = (k: number) => noon - 60_000 + k * 15_000;
    const scrape = (k: number) => processes(at(k), { a: { cpu: 10 * k }, b: { cpu: 3 * k } });
    mapper.take(scrape(1));
    await settle();
    const second = scrape(2);
    mapper.take(second.slice(0, 5));
    expect(await settle(2000)).toEqual([]);
    mapper.take(second.slice(3));
    mapper.take(second);
    const [live] = await settle(2000);
    expect(told(live)).toMatchObject({ a: { cpu: expect.closeTo(66.667, 2), count: 1 }, b: { cpu: 20 } });
    mapper.take(scrape(2));
    expect(await settle()).toEqual([]);
    // Series after series, as a part of the past comes.
    const past = [-4, -3, -2].flatMap(scrape);
    mapper.take(
      past.toSorted((a, b) => JSON.stringify(a.series).localeCompare(JSON.stringify(b.series)) || a.time - b.time),
    );
    const found = await settle();
    expect(found.map(({ time }) => time)).toEqual([at(-3), at(-2)]);
    expect(told(found[0])).toMatchObject({ a: { cpu: expect.closeTo(66.667, 2) } });
    mapper.take(scrape(3));
    expect(told((await settle())[0])).toMatchObject({ a: { cpu: expect.closeTo(66.667, 2) } });
  });

  test('waits while the store is away', async () => {
    const { mapper, settle, state } = setUp(['process-exporter']);
    mapper.take(processes(noon - 30_000, { a: { cpu: 1 } }));
    mapper.take(processes(noon - 15_000, { a: { cpu: 2 } }));
    state.isAway = true;
    await expect(settle()).rejects.toThrow('away');
    state.isAway = false;
    expect(await settle()).toHaveLength(1);
  });

  test('of a host with a collector is not counted twice, and that is said once', async () => {
    const { mapper, settle, said, state } = setUp(['process-exporter']);
    state.headers = [makeSnapshot({ host: 'web-01', time: noon, intervalMs: 60_000 })];
    for (let k = 0; k < 3; k++) mapper.take(processes(noon - 60_000 + k * 15_000, { a: { cpu: k } }));
    expect(await settle()).toEqual([]);
    expect(said.filter((text) => /web-01 has a collector of its own/.test(text))).toHaveLength(1);
    // What was made of series itself is none, and one that has fallen silent does not count.
    state.headers = [
      makeSnapshot({ host: 'web-01', time: noon, intervalMs: 60_000, metrics: { 'collector.mapped': 1 } }),
    ];
    mapper.take(processes(noon, { a: { cpu: 3 } }));
    expect(await settle()).toHaveLength(1);
    state.headers = [makeSnapshot({ host: 'web-01', time: noon - 600_000, intervalMs: 10_000 })];
    mapper.take(processes(noon + 15_000, { a: { cpu: 4 } }));
    expect(await settle()).toHaveLength(1);
  });

  test('of the host alone is a snapshot without processes; what cannot be told is said', async () => {
    const { mapper, settle, said } = setUp();
    mapper.take(node(noon - 30_000, 100, 100, '[::1]:9100'));
    mapper.take(node(noon - 15_000, 110, 105, '[::1]:9100'));
    const [snapshot] = await settle();
    expect(snapshot).toMatchObject({ host: '::1', ip: '::1', metrics: { 'system.memory': 75 } });
    expect(snapshot?.processes.name).toEqual([]);
    for (let k = 0; k < 2; k++) mapper.take(processes(noon + k * 15_000, { a: { cpu: k } }, 'db:1'));
    await settle();
    expect(said).toEqual([expect.stringMatching(/^db: how much memory it has nobody tells/)]);
    mapper.take([sample('node_load1', {}, noon, 1)]);
    expect(said.at(-1)).toMatch(
      /^mapping node-exporter: some series of node_load1 name no host, instance, and are told of no host; the first is node_load1{}/,
    );
    expect(mapper.counts.unplaced).toBe(1);
  });

  test('of containers counts to steps, by pod and container or by name', async () => {
    const { mapper, settle } = setUp(['cadvisor']);
    const start = Math.ceil(noon / 15_000) * 15_000 - 60_000;
    const container = (labels: Record<string, string>, ms: number, seconds: number) => [
      sample('container_cpu_usage_seconds_total', { instance: 'n1:8080', ...labels }, start + ms, seconds),
      sample('container_memory_rss', { instance: 'n1:8080', ...labels }, start + ms, GiB),
    ];
    for (let k = 0; k < 3; k++)
      mapper.take([
        ...container({ pod: 'web-1', container: 'nginx', name: 'k8s_x' }, k * 15_000 + 2000, k * 3),
        ...container({ name: 'redis' }, k * 15_000 + 9000, k * 1.5),
        ...container({ pod: 'web-1', container: 'POD' }, k * 15_000 + 2000, 100 * k),
        ...container({ id: '/' }, k * 15_000 + 2000, 1000 * k),
        sample('machine_memory_bytes', { instance: 'n1:8080' }, start + k * 15_000 + 5000, 4 * GiB),
        sample('machine_cpu_cores', { instance: 'n1:8080' }, start + k * 15_000 + 5000, 4),
      ]);
    const found = await settle();
    expect(found.map(({ time }) => time - start)).toEqual([30_000, 45_000]);
    expect(told(found[0])).toMatchObject({ 'web-1/nginx': { cpu: 20, memory: 25 }, redis: { cpu: 10 } });
    expect(Object.keys(told(found[0]))).toHaveLength(2);
  });
});

describe("a mapping of one's own", () => {
  test('is read, and what is wrong with it said', () => {
    const columns = { cpu: { rate: 'win_cpu', times: '100' }, 'system.load1': { max: 'win_load' } };
    expect(parseMapping({ name: 'windows', process: 'exe', columns })).toMatchObject({
      name: 'windows',
      host: ['instance'],
      process: ['exe'],
    });
    const wrong = (given: object) => () => parseMapping({ name: 'x', process: 'exe', columns, ...given });
    expect(wrong({ proces: 'a' })).toThrow("mapping x: there is no key 'proces'; did you mean 'process'?");
    expect(wrong({ columns: { rss: { sum: 'a' } } })).toThrow(/mapping x: there is no column 'rss'/);
    expect(wrong({ columns: { cpu: { sum: 'a', rate: 'b' } } })).toThrow(/'cpu' needs one of sum, max, count, rate/);
    expect(wrong({ columns: { cpu: { sum: 'a b' } } })).toThrow(/mapping x: the selector/);
    expect(wrong({ columns: { cpu: { sum: 'a', times: 'many' } } })).toThrow(/times of 'cpu' is no number/);
    expect(() => parseMapping({ name: 'x', columns })).toThrow(
      /'cpu' is of processes: say which label names one with 'process'/,
    );
  });
});
