import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcfsSource } from '../src/collector/procfs-source.ts';
import { groupByName } from '../src/collector/usage-groups.ts';
import type { Snapshot } from '../src/core/snapshot.ts';

const names = 200;
const busy = 30;

/**
 * What a collector sees of this machine with some 200 names more, a part of them under changing load: a snapshot a
 * second, as if ten had passed between two of them.
 */
export async function record(steps: number): Promise<Snapshot[]> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-names-'));
  const children = Array.from({ length: names }, (_, index) => start(folder, index));
  const source = new ProcfsSource({ now: () => Date.now(), monotonic: () => performance.now() });
  const begin = Date.now() - steps * 10_000;
  try {
    const snapshots: Snapshot[] = [];
    for (let step = -1; step < steps; step++) {
      const next = performance.now() + 1000;
      const sweep = await source.sweep();
      const { columns } = groupByName(sweep);
      if (step >= 0) snapshots.push(snapshotOf(begin + step * 10_000, columns, sweep));
      await sleep(Math.max(0, next - performance.now()));
    }
    return snapshots;
  } finally {
    source.close();
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

/** Most sleep; some work now and then, each in its own way, and take memory as they do. */
function start(folder: string, index: number): ChildProcess {
  const path = join(folder, `name-${index}`);
  if (index >= busy) {
    copyFileSync('/bin/sleep', path);
    return spawn(path, ['7200'], { stdio: 'ignore' });
  }
  copyFileSync('/bin/sh', path);
  const work = `i=0; while [ $i -lt ${500 + index * 300} ]; do i=$((i+1)); s="$s."; done; s=`;
  return spawn(path, ['-c', `while :; do ${work}; sleep ${0.5 + (index % 7) * 0.9}; done`], { stdio: 'ignore' });
}

function snapshotOf(
  time: number,
  processes: Snapshot['processes'],
  { cores, memoryBytes, limitedBy }: Pick<Snapshot, 'limitedBy'> & { cores: number; memoryBytes: number },
): Snapshot {
  return {
    host: 'recorded',
    ip: '10.0.0.1',
    time,
    intervalMs: 10_000,
    bootId: 'recorded',
    cores,
    memoryBytes,
    limitedBy,
    metrics: { 'system.cpu': 10 },
    processes,
  };
}
