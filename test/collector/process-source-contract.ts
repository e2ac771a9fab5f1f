import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/core/clock.ts';
import type { ProcessSource, SampledProcess, Sweep } from '../../src/core/process-source.ts';

export const realClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

/** The arrays of a sweep are the source's own: a copy is needed to compare two of them. */
function copy(sweep: Sweep): Map<number, SampledProcess> {
  return new Map([...sweep.processes].map((process) => [process.pid, { ...process }]));
}

/** A process that keeps one core busy. */
export function burn(): ChildProcess {
  return spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
}

/** What every source has to do alike, on the real processes of this machine. */
export function processSourceContract(name: string, open: () => ProcessSource, tolerance: number): void {
  describe(`process source contract: ${name}`, () => {
    const source = open();
    const children: ChildProcess[] = [];
    let first: Map<number, SampledProcess>;

    beforeAll(async () => {
      children.push(burn());
      await sleep(1100);
      first = copy(await source.sweep());
    });
    afterAll(() => {
      source.close();
      for (const child of children) child.kill('SIGKILL');
    });

    test('a process older than the collector has unknown CPU in the first sweep, and its memory', () => {
      const own = first.get(process.pid);
      expect(own?.cpu).toBeNull();
      expect((own?.rssBytes ?? 0) / process.memoryUsage.rss()).toBeGreaterThan(0.5);
      expect([...first.values()].every((sampled) => sampled.cpu === null)).toBe(true);
    });

    test('a busy process has its CPU in the second, and so has one born in between', async () => {
      // Some systems tell start times in whole seconds, and are a second off at that.
      await sleep(2200);
      const born = burn();
      children.push(born);
      await sleep(2500);
      const sweep = await source.sweep();
      const second = copy(sweep);
      const [busy, young] = [children[0]?.pid, born.pid].map((pid) => second.get(pid as number)?.cpu ?? Number.NaN);
      expect(busy).toBeGreaterThan(25);
      expect(young).toBeGreaterThan(25);
      expect(Math.max(busy as number, young as number)).toBeLessThan(100 + tolerance);
      expect(sweep.busy).toBeGreaterThan(((busy as number) + (young as number)) * 0.8);
      expect(sweep.cores).toBeGreaterThan(0);
      expect(sweep.memoryBytes).toBeGreaterThan(2 ** 26);
    });

    test('a process that has ended is gone', async () => {
      const [ended] = children.splice(0, 1);
      const pid = ended?.pid as number;
      const exited = new Promise((resolve) => ended?.once('exit', resolve));
      ended?.kill('SIGKILL');
      await exited;
      expect(copy(await source.sweep()).has(pid)).toBe(false);
    });
  });
}
