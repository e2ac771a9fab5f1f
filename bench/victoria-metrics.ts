import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/influxd.ts';

export function hasVictoriaMetrics(): boolean {
  return spawnSync('victoria-metrics', ['-version']).status === 0;
}

/** Debian's, with its defaults. It answers before anything is on disk. */
export async function startVictoriaMetrics(): Promise<{
  url: string;
  pid: number;
  folder: string;
  close: () => Promise<void>;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'victoria-metrics-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  const child = spawn('victoria-metrics', [`-storageDataPath=${folder}`, `-httpListenAddr=${new URL(url).host}`], {
    stdio: 'ignore',
  });
  const isUp = () =>
    fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isUp())) await sleep(100);
  const close = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true });
  };
  return { url, pid: child.pid as number, folder, close };
}
