import { spawn } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { freePort } from '../influxd.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { getJson, Program } from './program.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const ending: (() => void)[] = [];
afterEach(() => {
  for (const end of ending.splice(0)) end();
});

const statusOf = (url: string, init: RequestInit = {}) => fetch(url, init).then((answer) => answer.status);
const putOf = (time: number) => ({
  method: 'PUT',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    host: 'web-01',
    time: new Date(time).toISOString(),
    processes: Array.from({ length: 300 }, (_, k) => ({ name: `process-${k}-${time}`, cpu: k, memory: 1 })),
  }),
});

async function startServer(data: string) {
  const port = await freePort();
  const program = new Program(['serve', '--listen', `127.0.0.1:${port}`, '--data', data]);
  ending.push(() => program.child.kill('SIGKILL'));
  const url = `http://127.0.0.1:${port}`;
  await vi.waitFor(() => fetch(`${url}/health/live`), { timeout: 20_000, interval: 100 });
  return { program, url };
}

test.skipIf(process.platform !== 'linux')(
  'on a full disk the server is not ready, and is again once there is room',
  async () => {
    const mount = temporaryFolder();
    const port = await freePort();
    const command = `mount -t tmpfs -o size=16m tmpfs ${mount} && exec ${process.execPath} ${cli} serve --listen 127.0.0.1:${port} --data ${mount}`;
    const server = spawn('unshare', ['-rm', 'sh', '-c', command], { stdio: ['ignore', 'ignore', 'inherit'] });
    ending.push(() => server.kill('SIGKILL'));
    const url = `http://127.0.0.1:${port}`;
    await vi.waitFor(() => fetch(`${url}/health/live`), { timeout: 20_000, interval: 100 });
    expect(await statusOf(`${url}/health/ready`)).toBe(200);
    const filler = `/proc/${server.pid}/root${mount}/filler`;
    for (let size = 4 * 1024 ** 2, k = 0; size >= 1024; size /= 2)
      for (let isRoom = true; isRoom; k++)
        try {
          writeFileSync(`${filler}-${k}`, Buffer.alloc(size));
        } catch {
          isRoom = false;
        }
    const now = Date.now();
    let refused = 0;
    for (let k = 0; k < 5; k++) if ((await statusOf(`${url}/v1/usage`, putOf(now + k))) === 503) refused++;
    expect(refused).toBeGreaterThan(0);
    await vi.waitFor(async () => expect(await statusOf(`${url}/health/ready`)).toBe(503), {
      timeout: 5000,
      interval: 100,
    });
    const folder = `/proc/${server.pid}/root${mount}`;
    for (const name of readdirSync(folder)) if (name.startsWith('filler')) rmSync(join(folder, name));
    await vi.waitFor(async () => expect(await statusOf(`${url}/health/ready`)).toBe(200), {
      timeout: 5000,
      interval: 200,
    });
    expect(await statusOf(`${url}/v1/usage`, putOf(now + 10))).toBe(204);
    expect(readdirSync(folder).filter((name) => name.includes('tried'))).toEqual([]);
  },
);

describe('the data folder', () => {
  test("is this user's alone, the database and its log included", async () => {
    const data = join(temporaryFolder(), 'data');
    const { program, url } = await startServer(data);
    expect(await statusOf(`${url}/v1/usage`, putOf(Date.now()))).toBe(204);
    expect(statSync(data).mode & 0o777).toBe(0o700);
    for (const name of ['amberwatch.db', 'amberwatch.db.wal'])
      expect([name, (statSync(join(data, name)).mode & 0o777).toString(8)]).toEqual([name, '600']);
    await program.stop();
  });

  test('once it is gone no PUT is acknowledged, and the server is not ready', async () => {
    const data = join(temporaryFolder(), 'data');
    const { url } = await startServer(data);
    const now = Date.now();
    expect(await statusOf(`${url}/v1/usage`, putOf(now))).toBe(204);
    rmSync(data, { recursive: true });
    const statuses = [];
    for (let k = 1; k <= 20; k++) statuses.push(await statusOf(`${url}/v1/usage`, putOf(now + k)));
    expect(statuses).toEqual(Array(20).fill(503));
    const ready = await fetch(`${url}/health/ready`);
    expect([ready.status, ((await ready.json()) as { detail: string }).detail]).toEqual([
      503,
      expect.stringMatching(/amberwatch\.db has been removed or replaced while the server had it open/),
    ]);
    expect(existsSync(data)).toBe(false);
  });
});

test('a server whose InfluxDB is not there starts, says so, and is not ready', async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ['serve', '--listen', `127.0.0.1:${port}`, '--store', 'influxdb://127.0.0.1:1/db'];
  const program = new Program([...args, '--data', temporaryFolder()]);
  ending.push(() => program.child.kill('SIGKILL'));
  await vi.waitFor(() => getJson(`${url}/health/live`), { timeout: 20_000, interval: 100 });
  expect(program.stderr).toMatch(/InfluxDB at http:\/\/127.0.0.1:1 does not answer.*the server starts without it/);
  expect(await statusOf(`${url}/health/ready`)).toBe(503);
  expect(await statusOf(`${url}/v1/usage`, putOf(Date.now()))).toBe(503);
});
