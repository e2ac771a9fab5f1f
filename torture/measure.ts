import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Memory of a process that is in the machine's. */
export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

export function residentMiB(pid: number): number {
  return Math.round(residentBytes(pid) / 1024 ** 2);
}

/** Milliseconds until the whole answer has come; Infinity for a refusal. */
export async function timeOf(url: string, options: RequestInit = {}): Promise<number> {
  const begin = performance.now();
  const answer = await fetch(url, options);
  await answer.arrayBuffer();
  return answer.ok ? performance.now() - begin : Number.POSITIVE_INFINITY;
}

/** What stays once the garbage is gone. */
export async function settledRss(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return process.memoryUsage.rss();
}
