import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { MonitorClient, parseRetryAfter } from '../../src/client/monitor-client.ts';
import { FolderDisk } from '../../src/collector/disk.ts';
import { Sender } from '../../src/collector/sender.ts';
import { nameOf, Spool, type SpoolEntry, spoolLimits } from '../../src/collector/spool.ts';
import { retryMs, verdictOf } from '../../src/collector/verdict.ts';
import { backoffMs } from '../../src/platform/back-off.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { realClock } from './process-source-contract.ts';

type Body = { n: number } | { n: number }[];
let server: Server | undefined;
afterEach(() => server?.closeAllConnections());

/** A server that answers as told and keeps what it was sent. */
async function fakeServer(answer: (body: Body, count: number) => number) {
  const received: Body[] = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(gunzipSync(Buffer.concat(chunks)).toString()) as Body;
      received.push(body);
      response.writeHead(answer(body, received.length)).end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, received };
}

async function setUp(url: string, folder = temporaryFolder()) {
  const lines: string[] = [];
  const log = {
    info: (...said: unknown[]) => lines.push(String(said.at(-1))),
    warn: (...said: unknown[]) => lines.push(String(said.at(-1))),
  };
  const spool = await Spool.open(new FolderDisk(folder), spoolLimits(10_000));
  const client = new MonitorClient(url);
  const sender = new Sender({ spool, client, clock: realClock, random: () => 0.01, log });
  const put = (n: number) => spool.put(n * 1000, gzipSync(JSON.stringify({ n })));
  return { spool, sender, put, lines, folder };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await condition()) return;
    await sleep(25);
  }
  throw new Error('it did not happen within 5 s');
}

describe('sender', () => {
  test('sends the newest first, then the backlog in arrays from its oldest', async () => {
    const { url, received } = await fakeServer(() => 204);
    const { spool, sender, put } = await setUp(url);
    for (let n = 1; n <= 250; n++) await put(n);
    sender.start();
    await until(() => spool.counts.spooled === 0);
    expect(received[0]).toEqual({ n: 250 });
    expect((received[1] as { n: number }[]).map((body) => body.n)).toEqual(
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    const all = received.flat().map((body) => body.n);
    expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 250 }, (_, i) => i + 1));
    expect(spool.counts.stored).toBe(250);
    await sender.close(1000);
  });

  test('keeps everything while the server is away, says so once, and sends it when it is back', async () => {
    let away = true;
    const { url, received } = await fakeServer(() => (away ? 503 : 204));
    const { spool, sender, put, lines } = await setUp(url);
    for (let n = 1; n <= 3; n++) await put(n);
    sender.start();
    await until(() => received.length >= 3);
    expect(spool.counts.spooled).toBe(3);
    expect(lines).toHaveLength(1);
    away = false;
    await until(() => spool.counts.spooled === 0);
    await until(() => lines.length === 2);
    expect(lines[0]).toMatch(/answers 503.*kept in the spool/);
    expect(lines[1]).toMatch(/is back after/);
    await sender.close(1000);
  });

  test('one that is refused for good is set aside and holds up nobody', async () => {
    const { url } = await fakeServer((body) => ([body].flat().some(({ n }) => n === 7) ? 400 : 204));
    const { spool, sender, put, folder } = await setUp(url);
    for (let n = 1; n <= 20; n++) await put(n);
    sender.start();
    await until(() => spool.counts.spooled === 0);
    expect(spool.counts.stored).toBe(19);
    expect(readdirSync(join(folder, 'quarantine'))).toHaveLength(1);
    await sender.close(1000);
  });

  test('too large an array is split', async () => {
    const { url } = await fakeServer((body) => (Array.isArray(body) && body.length > 3 ? 413 : 204));
    const { spool, sender, put } = await setUp(url);
    for (let n = 1; n <= 40; n++) await put(n);
    sender.start();
    await until(() => spool.counts.spooled === 0);
    expect(spool.counts.stored).toBe(40);
    expect(spool.counts.quarantined).toBe(0);
    await sender.close(1000);
  });

  test('a damaged file costs one snapshot', async () => {
    const { url } = await fakeServer(() => 204);
    const { spool, sender, put, folder } = await setUp(url);
    for (let n = 1; n <= 5; n++) await put(n);
    const [, second] = spool.oldest(2);
    writeFileSync(join(folder, nameOf(second as SpoolEntry)), 'garbage');
    sender.start();
    await until(() => spool.counts.spooled === 0);
    expect([spool.counts.stored, spool.counts.quarantined]).toEqual([4, 1]);
    await sender.close(1000);
  });

  test('one bad snapshot in a long backlog costs a few requests, not one for each', async () => {
    const { url, received } = await fakeServer((body) => ([body].flat().some(({ n }) => n === 7) ? 400 : 204));
    const { spool, sender, put } = await setUp(url);
    for (let n = 1; n <= 300; n++) await put(n);
    sender.start();
    await until(() => spool.counts.spooled === 0);
    expect([spool.counts.stored, spool.counts.quarantined]).toEqual([299, 1]);
    expect(received.length).toBeLessThan(60);
    await sender.close(1000);
  });

  test('closing does not wait longer than its grace for a server that hangs', async () => {
    server = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => server?.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const { spool, sender, put, lines } = await setUp(`http://127.0.0.1:${port}`);
    await put(1);
    sender.start();
    await sleep(100);
    const begin = performance.now();
    await sender.close(500);
    expect(performance.now() - begin).toBeLessThan(1500);
    expect(spool.counts.spooled).toBe(1);
    expect(lines.at(-1)).toBe('1 snapshots stay in the spool and will be sent after the next start');
  });

  test('a spool that cannot be read is said, and does not end the program', async () => {
    const { url } = await fakeServer(() => 204);
    const { sender, put, lines, folder } = await setUp(url);
    await put(1);
    rmSync(folder, { recursive: true });
    sender.start();
    await until(() => lines.length > 0);
    expect(lines[0]).toMatch(/the spool cannot be used: ENOENT/);
    await sender.close(100);
  });

  test('closing delivers what it can', async () => {
    const { url, received } = await fakeServer(() => 204);
    const { sender, put } = await setUp(url);
    sender.start();
    await sleep(50);
    sender.wake(await put(1));
    await sender.close(2000);
    expect(received).toEqual([{ n: 1 }]);
  });
});

test.each([
  [null, 'later'],
  [204, 'stored'],
  [200, 'later'],
  [400, 'refused'],
  [422, 'refused'],
  [413, 'refused'],
  [401, 'denied'],
  [403, 'denied'],
  [404, 'later'],
  [408, 'later'],
  [425, 'early'],
  [429, 'later'],
  [500, 'later'],
  [503, 'later'],
] as const)('status %s means %s', (status, verdict) => expect(verdictOf({ status }, 1)).toBe(verdict));

test('back-off is full jitter below a cap, and never before Retry-After', () => {
  expect([1, 2, 3, 10].map((failures) => backoffMs(failures, null, 1))).toEqual([1000, 2000, 4000, 60_000]);
  expect(backoffMs(10, null, 0)).toBe(0);
  expect(backoffMs(1, 30_000, 0.5)).toBe(30_500);
});

test('after a lost connection the first try again comes within 15 s, spread evenly', () => {
  const lost = { status: null, detail: '', retryAfterMs: null };
  expect([0, 0.5, 1].map((random) => retryMs(1, lost, random))).toEqual([0, 7500, 15_000]);
  expect(retryMs(2, lost, 1)).toBe(2000);
  expect(retryMs(1, { ...lost, status: 503, retryAfterMs: 5000 }, 1)).toBe(6000);
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-11-20T12:00:00Z');
  expect(parseRetryAfter('120', now)).toBe(120_000);
  expect(parseRetryAfter('Fri, 20 Nov 2026 12:00:30 GMT', now)).toBe(30_000);
  expect(parseRetryAfter('Fri, 20 Nov 2026 11:00:00 GMT', now)).toBe(0);
  expect(parseRetryAfter('soon', now)).toBeNull();
});
