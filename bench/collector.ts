import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcfsSource } from '../src/collector/procfs-source.ts';
import { Child } from './child.ts';
import { type Figure, report } from './report.ts';

const processCount = 300;
const sweeps = 300;
const liveSeconds = 40;
const ticksPerSecond = 100;

/** The same files, opened, read and closed: what the kernel charges, and next to nothing else. */
const loopInC = `
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char buffer[4096], path[64];
  long files = 0;
  for (int sweep = 0; sweep < atoi(argv[1]); sweep++) {
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(proc));) {
      if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
      snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
      int fd = open(path, O_RDONLY);
      if (fd < 0) continue;
      if (read(fd, buffer, sizeof buffer) > 0) files++;
      close(fd);
    }
    closedir(proc);
  }
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  double us = (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 + use.ru_utime.tv_usec + use.ru_stime.tv_usec;
  printf("%f\\n", us / files);
}`;

export async function benchCollector(): Promise<void> {
  const sleepers = fillUp();
  try {
    const figures = [...(await sweepCost()), ...(await liveCost())];
    report(`collector: ${pids().length} processes, ${cpus().length} cores`, figures);
  } finally {
    for (const sleeper of sleepers) sleeper.kill('SIGKILL');
  }
}

/** Sleeping processes up to the number the bar is about. */
function fillUp(): ChildProcess[] {
  const missing = Math.max(0, processCount - pids().length);
  return Array.from({ length: missing }, () => spawn('sleep', ['3600'], { stdio: 'ignore' }));
}

function pids(): string[] {
  return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
}

async function sweepCost(): Promise<Figure[]> {
  const source = new ProcfsSource({ now: () => Date.now(), monotonic: () => performance.now() });
  for (let i = 0; i < sweeps; i++) await source.sweep();
  const before = process.cpuUsage();
  let sampled = 0;
  for (let i = 0; i < sweeps; i++) for (const _ of (await source.sweep()).processes) sampled++;
  const used = process.cpuUsage(before);
  source.close();
  const value = (used.user + used.system) / sampled;
  const reference = cLoop();
  return [
    {
      name: 'CPU per process and sweep',
      value,
      unit: 'us',
      ...(reference !== null && {
        reference: { name: 'C loop: open, read, close', value: reference, unit: 'us' },
        bar: { is: 'at most', value: 2, of: 'ratio' } as const,
      }),
    },
  ];
}

function cLoop(): number | null {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  try {
    writeFileSync(join(folder, 'loop.c'), loopInC);
    if (spawnSync('cc', ['-O2', '-o', join(folder, 'loop'), join(folder, 'loop.c')]).status !== 0) return null;
    return Number(spawnSync(join(folder, 'loop'), [String(sweeps)], { encoding: 'utf8' }).stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The real collector against a real server, at ten times its usual pace. */
async function liveCost(): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const server = Child.script('server.ts', 'memory:');
  const port = await server.line();
  const args = [
    'dist/cli.js',
    'collect',
    '--server',
    `http://127.0.0.1:${port}`,
    '--data',
    folder,
    '--interval',
    '1s',
    '--log-level',
    'error',
  ];
  const collector = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  await sleep(10_000);
  const before = statOf(collector.pid as number);
  await sleep(liveSeconds * 1000);
  const after = statOf(collector.pid as number);
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${collector.pid}/status`, 'utf8'))?.[1]) / 1024;
  collector.kill('SIGTERM');
  await server.end();
  rmSync(folder, { recursive: true, force: true });
  const msPerSweep = ((after.ticks - before.ticks) / ticksPerSecond / liveSeconds) * 1000;
  return [
    { name: 'everything, snapshot to acknowledgement', value: msPerSweep, unit: 'ms CPU per snapshot' },
    {
      name: 'of one core at one snapshot every 10 s',
      value: msPerSweep / 100,
      unit: '%',
      bar: { is: 'at most', value: 0.2, of: 'value' },
    },
    { name: 'RSS', value: rss, unit: 'MiB', bar: { is: 'at most', value: 80, of: 'value' } },
    {
      name: 'child processes waited for (their page faults)',
      value: after.childFaults,
      unit: '',
      bar: { is: 'at most', value: 0, of: 'value' },
    },
  ];
}

/** utime + stime, and the minor faults of children that were waited for: none means there were none. */
function statOf(pid: number): { ticks: number; childFaults: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return { ticks: Number(fields[11]) + Number(fields[12]), childFaults: Number(fields[8]) };
}
