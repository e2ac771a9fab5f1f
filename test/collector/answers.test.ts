import { execFileSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { MonitorClient } from '../../src/client/monitor-client.ts';
import { FolderDisk } from '../../src/collector/disk.ts';
import { Sender } from '../../src/collector/sender.ts';
import { nameOf, Spool, spoolLimits } from '../../src/collector/spool.ts';
import { listSpools } from '../../src/collector/spool-inspection.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { realClock } from './process-source-contract.ts';

let server: Server | undefined;
afterEach(() => server?.closeAllConnections());

/** Whatever stands where the server should: answers as it is told. */
async function someServer(answer: (response: ServerResponse, times: number[], request: IncomingMessage) => void) {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(gunzipSync(Buffer.concat(chunks)).toString()) as { n: number } | { n: number }[];
      answer(
        response,
        [body].flat().map(({ n }) => n),
        request,
      );
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

async function setUp(url: string, deadlineMs = 30_000) {
  const lines: string[] = [];
  const log = {
    info: (...said: unknown[]) => lines.push(String(said.at(-1))),
    warn: (...said: unknown[]) => lines.push(String(said.at(-1))),
  };
  const folder = temporaryFolder();
  const spool = await Spool.open(new FolderDisk(folder), spoolLimits(10_000));
  const client = new MonitorClient(url, {}, { putMs: deadlineMs, askMs: deadlineMs });
  const sender = new Sender({ spool, client, clock: realClock, random: () => 0.001, log });
  const put = (n: number) => spool.put(n * 1000, gzipSync(JSON.stringify({ n })));
  return { spool, sender, put, lines, folder };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (condition()) return;
    await sleep(25);
  }
  throw new Error('it did not happen within 5 s');
}

describe('an answer that is none of ours', () => {
  const page = '<html>Please accept our terms</html>';
  test.each<[string, (response: ServerResponse) => void]>([
    ["a portal's page", (response) => response.writeHead(200, { 'content-type': 'text/html' }).end(page)],
    ['200 with JSON of another', (response) => response.writeHead(200).end('{"ok":true}')],
    ['200 with other numbers', (response) => response.writeHead(200).end('{"stored":7,"expired":0}')],
    ['201', (response) => response.writeHead(201).end()],
    ['a redirect', (response) => response.writeHead(302, { location: 'https://portal.example' }).end()],
  ])('%s: everything is kept', async (_, answer) => {
    const { spool, sender, put, lines } = await setUp(await someServer((response) => answer(response)));
    for (let n = 1; n <= 5; n++) await put(n);
    sender.start();
    await until(() => lines.length > 0);
    expect(lines[0]).toMatch(/answers (200|201|302).*kept in the spool/);
    await sender.close(100);
    expect(spool.counts).toMatchObject({ stored: 0, spooled: 5 });
  });

  test('one that never ends is cut at 64 KiB', async () => {
    const sent: number[] = [];
    const url = await someServer((response) => {
      const number = sent.push(0) - 1;
      response.writeHead(200);
      const more = () => {
        if (response.destroyed) return;
        sent[number] = (sent[number] as number) + 65_536;
        response.write(Buffer.alloc(65_536), () => setImmediate(more));
      };
      more();
    });
    const { spool, sender, put, lines } = await setUp(url);
    await put(1);
    sender.start();
    await until(() => lines.length > 0);
    await sleep(300);
    // What the sockets' buffers hold besides, and no more.
    expect(Math.max(...sent)).toBeLessThan(6 * 1024 ** 2);
    expect(lines[0]).toMatch(/the answer is longer than 65536 bytes/);
    await sender.close(100);
    expect(spool.counts.spooled).toBe(1);
  });

  test('one that comes byte by byte ends at the deadline', async () => {
    const url = await someServer((response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write('x'), 100);
      response.on('close', () => clearInterval(drip));
    });
    const { sender, put, lines } = await setUp(url, 1000);
    await put(1);
    const start = Date.now();
    sender.start();
    await until(() => lines.length > 0);
    expect(lines[0]).toMatch(/does not answer: no whole answer within 1 s/);
    expect(Date.now() - start).toBeLessThan(2000);
    await sender.close(100);
  });
});

describe('what the server says of the time', () => {
  test('too old ones are counted as that, and leave', async () => {
    const url = await someServer((response, times) => {
      const expired = times.filter((n) => n <= 3).length;
      if (expired === 0) response.writeHead(204).end();
      else response.writeHead(200).end(JSON.stringify({ stored: times.length - expired, expired }));
    });
    const { spool, sender, put } = await setUp(url);
    for (let n = 1; n <= 10; n++) await put(n);
    sender.start();
    await until(() => spool.counts.spooled === 0);
    expect(spool.counts).toEqual({ taken: 10, stored: 7, expired: 3, dropped: 0, quarantined: 0, spooled: 0 });
    await sender.close(100);
  });

  test('425: from its day on they wait, all others go, and all go once it is right', async () => {
    let isWrong = true;
    const requests: number[][] = [];
    const url = await someServer((response, times) => {
      requests.push(times);
      response.writeHead(isWrong && times.some((n) => n > 20) ? 425 : 204).end();
    });
    const { spool, sender, put, lines } = await setUp(url);
    for (let n = 1; n <= 60; n++) await put(n);
    sender.start();
    await until(() => spool.counts.spooled === 40);
    expect(spool.oldest(1)[0]?.time).toBe(21_000);
    await sleep(200);
    const asked = requests.length;
    expect(asked).toBeLessThan(15);
    await sleep(200);
    expect(requests.length).toBe(asked);
    expect(lines).toEqual([expect.stringMatching(/^snapshots wait in the spool until a clock has been put right/)]);
    isWrong = false;
    sender.wake(await put(61));
    await until(() => spool.counts.spooled === 0);
    expect(spool.counts.stored).toBe(61);
    await sender.close(100);
  });
});

describe.skipIf(process.platform === 'win32')('a file of the spool that cannot be read', () => {
  test.each<[string, (path: string) => void]>([
    ['a folder', (path) => mkdirSync(path)],
    ['a link to another file', (path) => symlinkSync('/etc/hostname', path)],
    ['a link to nothing', (path) => symlinkSync('/nowhere', path)],
    ['a pipe', (path) => execFileSync('mkfifo', [path])],
    ['a socket or device', (path) => execFileSync('mknod', [path, 'c', '1', '5'])],
  ])('%s in its place is set aside, counted, and holds up nobody', async (_, replace) => {
    const { spool, sender, put, folder } = await setUp(await someServer((response) => response.writeHead(204).end()));
    for (let n = 1; n <= 5; n++) await put(n);
    const [first] = spool.oldest(1);
    const path = join(folder, nameOf(first as NonNullable<typeof first>));
    rmSync(path);
    replace(path);
    sender.start();
    await until(() => spool.counts.spooled === 0);
    expect(spool.counts).toMatchObject({ taken: 5, stored: 4, quarantined: 1, dropped: 0 });
    expect(readdirSync(join(folder, 'quarantine'))).toHaveLength(1);
    await sender.close(100);
    // And again after a start.
    expect((await Spool.open(new FolderDisk(folder), spoolLimits(10_000))).counts.quarantined).toBe(1);
  });
});

describe('what concerns all of the spool', () => {
  class FailingDisk extends FolderDisk {
    failing: (name: string) => string | null = () => null;
    override async read(name: string): Promise<Uint8Array> {
      const code = name.endsWith('.gz') ? this.failing(name) : null;
      if (code !== null) throw Object.assign(new Error(code), { code });
      return super.read(name);
    }
  }
  const setUpDisk = async () => {
    const url = await someServer((response) => response.writeHead(204).end());
    const folder = temporaryFolder();
    const disk = new FailingDisk(folder);
    const spool = await Spool.open(disk, spoolLimits(10_000));
    const log = { info: () => undefined, warn: () => undefined };
    const sender = new Sender({ spool, client: new MonitorClient(url), clock: realClock, random: () => 0.0001, log });
    for (let n = 1; n <= 50; n++) await spool.put(n * 1000, gzipSync(JSON.stringify({ n })));
    return { disk, spool, sender };
  };

  test.each(['ESTALE', 'ETIMEDOUT', 'EMFILE', 'EACCES', 'EIO'])(
    '%s of every file: all wait, and go when it is over',
    async (code) => {
      const { disk, spool, sender } = await setUpDisk();
      disk.failing = () => code;
      sender.start();
      await sleep(300);
      expect(spool.counts).toMatchObject({ spooled: 50, quarantined: 0, dropped: 0 });
      disk.failing = () => null;
      sender.wake(await spool.put(51_000, gzipSync('{"n":51}')));
      await until(() => spool.counts.spooled === 0);
      expect(spool.counts.stored).toBe(51);
      await sender.close(100);
    },
  );

  test.each(['EACCES', 'EPERM', 'EIO'])('%s of one: it is set aside once another could be read', async (code) => {
    const { disk, spool, sender } = await setUpDisk();
    disk.failing = (name) => (name.includes('-000000007-') ? code : null);
    sender.start();
    await until(() => spool.counts.spooled === 0);
    expect(spool.counts).toMatchObject({ stored: 49, quarantined: 1 });
    await sender.close(100);
  });

  test('a folder with a name of ours holds up no start, nor what could not be removed before', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'x.tmp'));
    const spool = await Spool.open(new FolderDisk(folder), spoolLimits(10_000));
    await spool.put(1000, gzipSync('{}'));
    const [entry] = spool.oldest(1);
    const path = join(folder, nameOf(entry as NonNullable<typeof entry>));
    rmSync(path);
    mkdirSync(join(path, 'inside'), { recursive: true });
    await spool.leave(spool.oldest(1), 'stored');
    for (let start = 0; start < 3; start++)
      expect((await Spool.open(new FolderDisk(folder), spoolLimits(10_000))).counts).toMatchObject({
        taken: 1,
        stored: 1,
        spooled: 0,
      });
  });

  test('nothing is left in the signal that ends all requests', async () => {
    const client = new MonitorClient(await someServer((response) => response.writeHead(204).end()));
    const { signal } = new AbortController();
    for (let k = 0; k < 20; k++) await client.put('/', gzipSync('{"n":1}'), 0, signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await client.close();
  });
});

test('spool ls counts as the next start would', async () => {
  const parent = temporaryFolder();
  const folder = join(parent, 'some-server-as-web-01');
  mkdirSync(folder);
  const spool = await Spool.open(new FolderDisk(folder), spoolLimits(10_000));
  for (let n = 1; n <= 3; n++) await spool.put(n, gzipSync('{}'));
  // The ledger has not been written since the start: nothing has left.
  const lines = await listSpools(parent, 4);
  expect(lines[0]).toMatch(/^some-server-as-web-01: 3 snapshots wait/);
  expect(lines[1]).toBe('  3 taken = 0 stored + 0 dropped + 0 set aside + 3 in the spool');
  await spool.leave(spool.oldest(1), 'stored', 1);
  expect((await listSpools(parent, 4))[1]).toBe(
    '  3 taken = 0 stored + 1 too old for the server + 0 dropped + 0 set aside + 2 in the spool',
  );
});
