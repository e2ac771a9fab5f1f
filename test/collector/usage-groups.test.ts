import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { groupByName, maxNames } from '../../src/collector/usage-groups.ts';
import type { SampledProcess, Sweep } from '../../src/core/process-source.ts';
import { type ProcessUsage, usageAt } from '../../src/core/snapshot.ts';

const gibibyte = 2 ** 30;
let lastPid = 0;
const process = (name: string, cpu: number | null, rssBytes = 0, kernel = false): SampledProcess => ({
  pid: ++lastPid,
  name,
  cpu,
  rssBytes,
  kernel,
});

function rowsOf(processes: SampledProcess[], busy: number | null): Map<string, ProcessUsage> {
  const sweep: Sweep = { processes, busy, cores: 4, memoryBytes: gibibyte, limitedBy: 'host', usedBytes: null };
  const { columns } = groupByName(sweep);
  return new Map(columns.name.map((name, index) => [name, usageAt(columns, index)]));
}

describe('grouping by name', () => {
  test('sums instances, keeps the largest and its pid', () => {
    const processes = [process('worker', 10, gibibyte / 4), process('worker', 30, gibibyte / 8), process('other', 1)];
    Object.assign(processes[0] as object, { threads: 3, ioReadBytesPerSecond: 10.4, ioWriteBytesPerSecond: null });
    Object.assign(processes[1] as object, { threads: 4, ioReadBytesPerSecond: 0.2 });
    const worker = rowsOf(processes, 50).get('worker');
    expect(worker).toEqual({
      name: 'worker',
      count: 2,
      cpu: 40,
      cpuMax: 30,
      memory: 37.5,
      memoryMax: 25,
      rssBytes: (gibibyte * 3) / 8,
      pid: processes[1]?.pid,
      threads: 7,
      ioReadBytesPerSecond: 11,
      ioWriteBytesPerSecond: null,
    });
  });

  test('before CPU is known, the largest by memory gives the pid', () => {
    const processes = [10, 100, 60].map((share) => process('a', null, share * 1000));
    expect(rowsOf(processes, null).get('a')?.pid).toBe(processes[1]?.pid);
  });

  test('kernel threads are one row without a pid', () => {
    const rows = rowsOf([process('kworker/0', 1, 0, true), process('kworker/1', 2, 0, true)], 5);
    expect(rows.get('__kernel__')).toMatchObject({ count: 2, cpu: 3, cpuMax: 2, pid: null });
    expect([...rows.keys()]).toEqual(['__kernel__', '__unattributed__']);
  });

  test('the first sweep knows no CPU: null, and nothing is unattributed', () => {
    const rows = rowsOf([process('a', null, gibibyte / 2)], null);
    expect(rows.get('a')).toMatchObject({ cpu: null, cpuMax: null, memory: 50 });
    expect(rows.has('__unattributed__')).toBe(false);
  });

  test('one of two instances not known yet: the sum is of what is known', () => {
    expect(rowsOf([process('a', null), process('a', 7)], 10).get('a')).toMatchObject({ count: 2, cpu: 7, cpuMax: 7 });
  });
});

describe('the rows sum to the busy time of the host', () => {
  const sum = (rows: Map<string, ProcessUsage>) => [...rows.values()].reduce((total, row) => total + (row.cpu ?? 0), 0);

  test('what no process accounts for is __unattributed__', () => {
    const rows = rowsOf([process('a', 20), process('b', 30)], 80);
    expect(rows.get('__unattributed__')?.cpu).toBe(30);
  });

  test('processes that add up to more than the host is said to have been busy keep their figures', () => {
    const processes = [process('a', 60), process('b', 60)];
    const rows = rowsOf(processes, 100);
    expect(rows.get('a')?.cpu).toBe(60);
    expect(rows.get('__unattributed__')?.cpu).toBe(0);
    const sweep: Sweep = { processes, busy: 17, cores: 4, memoryBytes: 1, limitedBy: 'host', usedBytes: null };
    expect(groupByName(sweep).busy).toBe(120);
  });

  test('for any processes', () => {
    const some = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      cpu: fc.option(fc.double({ min: 0, max: 400, noNaN: true })),
      kernel: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(some, { maxLength: 60 }), fc.double({ min: 0, max: 800, noNaN: true }), (list, busy) => {
        const processes = list.map(({ name, cpu, kernel }) => process(name, cpu, 0, kernel));
        const sweep: Sweep = { processes, busy, cores: 4, memoryBytes: 1, limitedBy: 'host', usedBytes: null };
        const rows = rowsOf(processes, busy);
        const found = groupByName(sweep).busy ?? -1;
        expect(Math.abs(sum(rows) - found)).toBeLessThan(0.002);
        expect(found).toBeGreaterThanOrEqual(busy);
        expect(rows.get('__unattributed__')?.cpu).toBeGreaterThanOrEqual(0);
        const used = processes.reduce((total, { cpu }) => total + (cpu ?? 0), 0);
        expect(sum(rows)).toBeGreaterThanOrEqual(used - 0.001 * processes.length);
      }),
      { numRuns: 500 },
    );
  });
});

describe('more names than a snapshot holds', () => {
  const many = Array.from({ length: 2000 }, (_, i) => process(`p${i}`, i / 100, ((i * 7919) % 2000) * 1000));

  test('top by CPU, top by memory, and the rest in one row; nothing is lost', () => {
    const rows = rowsOf([...many, process('big', 0, Math.round(gibibyte * 0.45))], 25_000);
    expect(rows.size).toBeLessThanOrEqual(maxNames + 2);
    expect(rows.has('p1999') && rows.has('big')).toBe(true);
    const other = rows.get('__other__');
    const named = [...rows.values()].filter((row) => !row.name.startsWith('__'));
    expect((other?.count ?? 0) + named.length).toBe(2001);
    const rss = [...rows.values()].reduce((total, row) => total + (row.rssBytes ?? 0), 0);
    expect(rss).toBe([...many].reduce((total, one) => total + one.rssBytes, 0) + Math.round(gibibyte * 0.45));
  });

  test('whatever is half way to a threshold is named', () => {
    const hot = Array.from({ length: 600 }, (_, i) => process(`hot${i}`, 41));
    const rows = rowsOf([...hot, ...many.slice(0, 10)], 30_000);
    expect([...rows.keys()].filter((name) => name.startsWith('hot'))).toHaveLength(600);
  });
});
