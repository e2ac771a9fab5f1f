import { describe, expect, test } from 'vitest';
import { MonitorError } from '../../src/core/error.ts';
import type { MetricSample } from '../../src/core/sample.ts';
import { type Snapshot, usageAt } from '../../src/core/snapshot.ts';
import { parseMapping } from '../../src/mapping/parse-mapping.ts';
import { shippedMapping } from '../../src/mapping/shipped-mappings.ts';
import { UsageMapper } from '../../src/mapping/usage-mapper.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';

const GiB = 1024 ** 3;

function setUp(names = ['process-exporter', 'node-exporter']) {
  const time = { now: noon };
  const said: string[] = [];
  const state = { written: [] as Snapshot[], headers: [] as Snapshot[], isAway: false, refused: '' };
  const mappings = names.map((name) => {
    const mapping = shippedMapping(name);
    if (mapping === undefined) throw new Error(name);
    return mapping;
  });
  const log = { info: () => undefined, warn: (text: unknown) => void said.push(String(text)), error: () => undefined };
  const mapper = new UsageMapper(mappings, {
    write: async (snapshots) => {
      if (state.isAway) throw new Error('away');
      if (snapshots.some(({ host }) => host === state.refused)) throw new MonitorError('too_early', 'too far ahead');
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

  test.each([
    ['cadvisor', { name: 'redis' }, 'redis'],
    ['kubelet', { namespace: 'prod', pod: 'web-1', container: 'nginx', name: 'k8s_x' }, 'prod/web-1/nginx'],
  ])('of containers by %s counts to steps, and one that comes late is not gone', async (mapping, labels, name) => {
    const { mapper, settle, said } = setUp([mapping]);
    const start = Math.floor(noon / 15_000) * 15_000 - 75_000;
    const container = (more: Record<string, string>, ms: number, seconds: number) => [
      sample('container_cpu_usage_seconds_total', { instance: 'n1:8080', ...more }, start + ms, seconds),
      sample('container_memory_rss', { instance: 'n1:8080', ...more }, start + ms, GiB),
    ];
    const other = { ...labels, ...(mapping === 'cadvisor' ? { name: 'late' } : { container: 'late' }) };
    for (let k = 0; k < 5; k++) {
      mapper.take([
        ...container(labels, k * 15_000 + 2000, k * 3),
        // Now in this step, now in the next.
        ...container(other, k * 15_000 + 12_000 + (k % 2) * 4000, k * 1.5),
        ...container({ namespace: 'prod', pod: 'web-1', container: 'POD', name: '' }, k * 15_000 + 2000, 100 * k),
        ...container({ id: '/' }, k * 15_000 + 2000, 1000 * k),
        sample('machine_memory_bytes', { instance: 'n1:8080' }, start + k * 15_000 + 5000, 4 * GiB),
      ]);
    }
    const found = await settle();
    expect(found.map(({ time }) => time - start)).toEqual([15_000, 30_000, 45_000, 60_000]);
    for (const snapshot of found) expect(told(snapshot)).toMatchObject({ [name]: { cpu: 20, memory: 25 } });
    for (const snapshot of found.slice(1)) expect(snapshot.processes.name).toHaveLength(2);
    expect(said).toEqual([]);
  });

  test('of a scrape that failed is nothing, and a process that is late is not gone', async () => {
    const { mapper, settle } = setUp(['process-exporter']);
    const at = (k: number) => noon - 120_000 + k * 15_000;
    const scrape = (k: number, names: string[]) =>
      processes(at(k), Object.fromEntries(names.map((name) => [name, { cpu: 3 * k }])));
    const ended = (k: number, names: string[]) =>
      scrape(k, names).map((each) => ({ ...each, value: 'exited' as const }));
    for (const k of [0, 1]) mapper.take(scrape(k, ['a', 'b']));
    expect((await settle())[0]?.processes.name).toEqual(['a', 'b']);
    // Its other part is on its way for longer than anybody waits.
    mapper.take(scrape(2, ['a']));
    expect((await settle())[0]?.processes.name).toEqual(['a', 'b']);
    mapper.take(ended(3, ['a', 'b']));
    expect(await settle()).toEqual([]);
    mapper.take(scrape(4, ['a', 'b']));
    mapper.take(scrape(5, ['a', 'b']));
    expect((await settle()).at(-1)?.processes.name).toEqual(['a', 'b']);
    mapper.take([...scrape(6, ['a']), ...ended(6, ['b'])]);
    expect((await settle())[0]?.processes.name).toEqual(['a']);
  });

  test('by two copies of a Prometheus, or of two sources, is counted once', async () => {
    const { mapper, settle, said } = setUp(['process-exporter']);
    const copy = (name: string, k: number, owner = 'prometheus lab') =>
      processes(noon - 60_000 + k * 15_000 + (name === 'b' ? 5000 : 0), { x: { cpu: 3 * k } }).map((each) => ({
        ...each,
        owner,
        series: { ...each.series, labels: { ...each.series.labels, prometheus_replica: name } },
      }));
    for (let k = 0; k < 4; k++) mapper.take([...copy('a', k), ...copy('b', k), ...copy('a', k, 'prometheus other')]);
    const found = await settle();
    expect(found.map(({ time }) => time - noon)).toEqual([-45_000, -30_000, -15_000]);
    expect(told(found[0])).toMatchObject({ x: { cpu: 20, count: 1 } });
    expect(found[0]?.intervalMs).toBe(15_000);
    expect(said).toEqual([
      expect.stringMatching(
        /^web-01: process-exporter \(.*prometheus_replica=a\) tells of it, and what .*replica=b\) tells of it is not counted twice$/,
      ),
      expect.stringMatching(/^web-01: how much memory it has nobody tells/),
    ]);
  });

  test('of what cannot be a host, or is refused for good, holds up nobody', async () => {
    const { mapper, settle, said, state } = setUp(['process-exporter']);
    for (const instance of ['(server)', '(prometheus lab)', 'x'.repeat(300), 'good', 'bad'])
      for (const k of [0, 1]) mapper.take(processes(noon - 30_000 + k * 15_000, { __kernel__: { cpu: k } }, instance));
    state.refused = 'bad';
    const found = await settle();
    expect(found.map(({ host }) => host)).toEqual(['good']);
    expect(found[0]?.processes.name).toEqual(['__kernel__ (process)']);
    expect(
      said.filter((text) => /bad: what others have measured of it is refused: too far ahead/.test(text)),
    ).toHaveLength(1);
    expect(await settle()).toEqual([]);
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
