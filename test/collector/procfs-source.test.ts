import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Cgroup } from '../../src/collector/cgroup.ts';
import { ProcfsSource } from '../../src/collector/procfs-source.ts';
import { groupByName } from '../../src/collector/usage-groups.ts';
import { readBootId } from '../../src/platform/boot-id.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { burn, processSourceContract, realClock } from './process-source-contract.ts';

describe.skipIf(process.platform !== 'linux')('the real /proc', () => {
  processSourceContract('procfs', () => new ProcfsSource(realClock), 5);

  test('on every sweep the rows sum to the busy time of the host', async () => {
    const source = new ProcfsSource(realClock);
    const child = burn();
    for (let i = 0; i < 8; i++) {
      const sweep = await source.sweep();
      const { columns, busy } = groupByName(sweep);
      const sum = columns.cpu.reduce<number>((total, cpu) => total + (cpu ?? 0), 0);
      if (i > 0) expect(Math.abs(sum - (busy ?? 0))).toBeLessThan(0.01);
      // Short-lived ones come and go in between.
      spawn('true').on('error', () => undefined);
      await sleep(250);
    }
    child.kill('SIGKILL');
    source.close();
  });

  test('a process may be renamed to anything', async () => {
    const script = "printf 'a) R (b\\033[31m' > /proc/self/comm; while :; do sleep 1; done";
    const child = spawn('sh', ['-c', script], { stdio: 'ignore' });
    await sleep(300);
    const source = new ProcfsSource(realClock);
    const found = [...(await source.sweep()).processes].find((sampled) => sampled.pid === child.pid);
    expect(found?.name).toBe('a) R (b\u001b[31m');
    child.kill('SIGKILL');
    source.close();
  });

  test('threads, and with --io what a process writes to the disk; of others only what this user may know', async () => {
    const file = join(temporaryFolder(), 'written');
    const worker = 'new Worker("setInterval(() => {}, 1000)", { eval: true })';
    const script = `const { Worker } = require('node:worker_threads'); ${worker};
      const fs = require('node:fs'); const fd = fs.openSync(process.argv[1], 'w'); const block = Buffer.alloc(1 << 20, 1);
      setInterval(() => { fs.writeSync(fd, block, 0, block.length, 0); fs.fsyncSync(fd); }, 50);`;
    const child = spawn(process.execPath, ['-e', script, file], { stdio: 'ignore' });
    const source = new ProcfsSource(realClock, { io: true });
    await sleep(1000);
    await source.sweep();
    await sleep(2000);
    const { processes } = await source.sweep();
    const found = [...processes].find((sampled) => sampled.pid === child.pid);
    const threads = readdirSync(`/proc/${child.pid}/task`).length;
    child.kill('SIGKILL');
    source.close();
    expect(found?.threads).toBe(threads);
    expect(threads).toBeGreaterThan(5);
    // 20 MB in a second, less what fsync takes.
    expect(found?.ioWriteBytesPerSecond).toBeGreaterThan(2e6);
    expect(found?.ioWriteBytesPerSecond).toBeLessThan(25e6);
    expect(found?.ioReadBytesPerSecond).toBeGreaterThanOrEqual(0);
  });

  test('closing gives all descriptors back', async () => {
    const count = () => readdirSync('/proc/self/fd').length;
    const before = count();
    const source = new ProcfsSource(realClock);
    await source.sweep();
    await source.sweep();
    expect(count()).toBeGreaterThan(before + 5);
    source.close();
    expect(count()).toBeLessThanOrEqual(before + 1);
  });

  test('the boot has an id', () => expect(readBootId()).toMatch(/^[0-9a-f-]{36}$/));
});

describe('a made-up /proc', () => {
  let time = 1000;
  const clock = { now: () => Date.now(), monotonic: () => time };

  function fakeProc() {
    const root = join(temporaryFolder(), 'proc');
    mkdirSync(join(root, '1'), { recursive: true });
    const write = (path: string, text: string) => {
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), text);
    };
    const process = (pid: number, name: string, ticks: number, start: number, flags = 0) =>
      write(
        `${pid}/stat`,
        `${pid} (${name}) S 1 1 1 0 -1 ${flags} 0 0 0 0 ${ticks} 0 0 0 20 0 1 0 ${start} 4096 100 0\n`,
      );
    write('meminfo', 'MemTotal:        1000000 kB\nMemFree: 1 kB\n');
    write('1/cgroup', '0::/\n');
    const host = (busyTicks: number, uptime: number) => {
      write('stat', `cpu  ${busyTicks} 0 0 5000 100 0 0 0 7 0\ncpu0 1 2 3\nintr 9\n`);
      write('uptime', `${uptime.toFixed(2)} 1.00\n`);
    };
    return { root, process, host, gone: (pid: number) => rmSync(join(root, String(pid)), { recursive: true }) };
  }

  const cpuOf = async (source: ProcfsSource) =>
    Object.fromEntries([...(await source.sweep()).processes].map(({ name, cpu }) => [name, cpu]));

  test('a reused pid starts a new series', async () => {
    const proc = fakeProc();
    const source = new ProcfsSource(clock, { io: false }, proc.root, new Cgroup(proc.root, join(proc.root, 'none')));
    proc.host(0, 100);
    proc.process(50, 'old', 5000, 10);
    expect(await cpuOf(source)).toEqual({ old: null });
    time += 10_000;
    proc.host(500, 110);
    // The new one was born at tick 10,500, after the sweep before at tick 10,000: all its CPU counts.
    proc.process(50, 'new', 300, 10_500);
    expect(await cpuOf(source)).toEqual({ new: 30 });
    source.close();
  });

  test('an older process that is seen for the first time is unknown once', async () => {
    const proc = fakeProc();
    const source = new ProcfsSource(clock, { io: false }, proc.root, new Cgroup(proc.root, join(proc.root, 'none')));
    proc.host(0, 100);
    await source.sweep();
    time += 10_000;
    proc.host(100, 110);
    proc.process(60, 'late', 9000, 9_999);
    expect(await cpuOf(source)).toEqual({ late: null });
    time += 10_000;
    proc.host(200, 120);
    proc.process(60, 'late', 9100, 9_999);
    expect(await cpuOf(source)).toEqual({ late: 10 });
    source.close();
  });

  test('what may not be read of input and output is not known, and a counter that goes back is none', async () => {
    const proc = fakeProc();
    const source = new ProcfsSource(clock, { io: true }, proc.root, new Cgroup(proc.root, join(proc.root, 'none')));
    const ioOf = async () =>
      [...(await source.sweep()).processes].map((each) => [each.ioReadBytesPerSecond, each.ioWriteBytesPerSecond]);
    const io = (text: string) => writeFileSync(join(proc.root, '80/io'), text);
    proc.host(0, 100);
    proc.process(80, 'db', 0, 10);
    expect(await ioOf()).toEqual([[null, null]]);
    for (const [text, expected] of [
      ['rchar: 5\nread_bytes: 1000\nwrite_bytes: 0\n', [null, null]],
      ['rchar: 5\nread_bytes: 41000\nwrite_bytes: 5\n', [4000, 0.5]],
      ['rchar: 5\nread_bytes: 0\nwrite_bytes: 5\n', [0, 0]],
      ['', [null, null]],
    ] as const) {
      time += 10_000;
      io(text);
      expect(await ioOf()).toEqual([expected]);
    }
    source.close();
  });

  test('guest time is not counted twice, idle and iowait not at all', async () => {
    const proc = fakeProc();
    const source = new ProcfsSource(clock, { io: false }, proc.root, new Cgroup(proc.root, join(proc.root, 'none')));
    proc.host(100, 100);
    await source.sweep();
    time += 10_000;
    proc.host(600, 110);
    expect((await source.sweep()).busy).toBeCloseTo(50, 5);
    source.close();
  });

  test('names of our own rows cannot be taken by a process, and no name is not nothing', async () => {
    const proc = fakeProc();
    proc.host(0, 1);
    proc.process(70, '__kernel__', 1, 1);
    proc.process(71, '', 1, 1);
    proc.process(72, 'kworker', 1, 1, 0x0020_0000);
    const source = new ProcfsSource(clock, { io: false }, proc.root, new Cgroup(proc.root, join(proc.root, 'none')));
    const sampled = [...(await source.sweep()).processes].map(({ name, kernel }) => `${name} ${kernel}`);
    expect(sampled.sort()).toEqual(['(unnamed) false', '__kernel__ (process) false', 'kworker true']);
    source.close();
  });
});

describe('cgroup limits', () => {
  function cgroupOf(cgroupFile: string, files: Record<string, string>) {
    const folder = temporaryFolder();
    for (const [path, text] of Object.entries({ 'proc/1/cgroup': cgroupFile, ...files })) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return new Cgroup(join(folder, 'proc'), join(folder, 'sys'));
  }

  test('version 2: the tightest of all levels', () => {
    const cgroup = cgroupOf('0::/pod/box\n', {
      'sys/pod/cpu.max': '400000 100000\n',
      'sys/pod/memory.max': '1073741824\n',
      'sys/pod/box/cpu.max': '150000 100000\n',
      'sys/pod/box/memory.max': 'max\n',
      'sys/pod/box/cpu.stat': 'usage_usec 2500000\nuser_usec 1\n',
      'sys/pod/box/memory.current': '5000\n',
      'sys/pod/box/memory.stat': 'anon 1\ninactive_file 1000\n',
    });
    expect(cgroup.limits()).toEqual({ cores: 1.5, memoryBytes: 1073741824 });
    expect(cgroup.usage()).toEqual({ cpuSeconds: 2.5, memoryBytes: 4000 });
  });

  test('version 2 inside a container: its root is the container', () => {
    const cgroup = cgroupOf('0::/\n', { 'sys/cpu.max': '50000 100000\n', 'sys/memory.max': '2000\n' });
    expect(cgroup.limits()).toEqual({ cores: 0.5, memoryBytes: 2000 });
  });

  test('version 1', () => {
    const cgroup = cgroupOf('5:cpuacct,cpu:/docker/a\n4:memory:/docker/a\n', {
      'sys/cpu/docker/a/cpu.cfs_quota_us': '200000\n',
      'sys/cpu/docker/a/cpu.cfs_period_us': '100000\n',
      'sys/memory/docker/a/memory.limit_in_bytes': '4096\n',
      'sys/memory/memory.limit_in_bytes': '9223372036854771712\n',
      'sys/cpuacct/docker/a/cpuacct.usage': '3000000000\n',
      'sys/memory/docker/a/memory.usage_in_bytes': '2048\n',
    });
    expect(cgroup.limits()).toEqual({ cores: 2, memoryBytes: 4096 });
    expect(cgroup.usage()).toEqual({ cpuSeconds: 3, memoryBytes: 2048 });
  });

  test('version 1 inside a container: the mount is the container itself, whatever the path says', () => {
    const cgroup = cgroupOf('5:cpuacct,cpu:/docker/a\n4:memory:/docker/a\n', {
      'sys/cpu/cpu.cfs_quota_us': '50000\n',
      'sys/cpu/cpu.cfs_period_us': '100000\n',
      'sys/memory/memory.limit_in_bytes': '4096\n',
      'sys/cpuacct/cpuacct.usage': '3000000000\n',
      'sys/memory/memory.usage_in_bytes': '2048\n',
    });
    expect(cgroup.limits()).toEqual({ cores: 0.5, memoryBytes: 4096 });
    expect(cgroup.usage()).toEqual({ cpuSeconds: 3, memoryBytes: 2048 });
  });

  test('none on a host, and none where nothing can be read', () => {
    const none = { cores: null, memoryBytes: null };
    expect(
      cgroupOf('0::/init.scope\n', {
        'sys/init.scope/cpu.max': 'max 100000\n',
        'sys/init.scope/memory.max': 'max\n',
      }).limits(),
    ).toEqual(none);
    expect(cgroupOf('', {}).limits()).toEqual(none);
    // Process 1 of the host, seen from a container's own cgroup namespace: its limits are not ours to see.
    expect(cgroupOf('0::/../../init.scope\n', { 'sys/memory.max': '1000\n' }).limits()).toEqual(none);
  });

  test('are the denominators of a sweep, which says so', async () => {
    const folder = temporaryFolder();
    const sys = join(folder, 'sys');
    mkdirSync(join(folder, 'proc/1'), { recursive: true });
    mkdirSync(sys);
    writeFileSync(join(folder, 'proc/1/cgroup'), '0::/\n');
    const limit = (name: string, text: string) => writeFileSync(join(sys, name), text);
    limit('cpu.max', '50000 100000');
    limit('memory.max', String(2 ** 30));
    limit('memory.current', String(2 ** 28));
    limit('cpu.stat', 'usage_usec 1000000\n');
    let now = 0;
    const source = new ProcfsSource(
      { now: () => 0, monotonic: () => now },
      { io: false },
      '/proc',
      new Cgroup(join(folder, 'proc'), sys),
    );
    await source.sweep();
    now += 10_000;
    limit('cpu.stat', 'usage_usec 4000000\n');
    expect(await source.sweep()).toMatchObject({
      cores: 0.5,
      memoryBytes: 2 ** 30,
      usedBytes: 2 ** 28,
      limitedBy: 'cgroup',
      busy: 30,
    });
    source.close();
  });
});
