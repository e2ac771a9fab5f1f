import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FolderDisk } from '../../src/collector/disk.ts';
import { nameOf, openLockedSpool, Spool, type SpoolEntry, spoolLimits } from '../../src/collector/spool.ts';
import { identityOf } from '../process-identity.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const data = (text: string) => Buffer.from(text);
const open = (folder: string, limits = spoolLimits(10_000)) => Spool.open(new FolderDisk(folder), limits);
const timesOf = (spool: Spool) => spool.oldest(Infinity).map((entry) => entry.time);
const first = (spool: Spool) => spool.oldest(1)[0] as SpoolEntry;

describe('spool', () => {
  test('gives back what it was given, in the order it came, also after a restart and a clock that went back', async () => {
    const folder = temporaryFolder();
    const spool = await open(folder);
    for (const time of [2000, 1000, 3000]) await spool.put(time, data(`at ${time}`));
    const again = await open(folder);
    expect(timesOf(again)).toEqual([2000, 1000, 3000]);
    expect(Buffer.from(await again.read(first(again))).toString()).toBe('at 2000');
    await again.put(1000, data('same instant'));
    expect(timesOf(await open(folder))).toEqual([2000, 1000, 3000, 1000]);
    expect(again.newest()?.sequence).toBe(4);
  });

  test('a write that was cut off leaves nothing behind', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, '00000000001000-000000001-5.json.gz.tmp'), 'half');
    writeFileSync(join(folder, 'notes.txt'), 'not ours');
    expect((await open(folder)).counts.spooled).toBe(0);
    expect(readdirSync(folder)).toEqual(['ledger', 'notes.txt']);
  });

  test('what has left is gone, and leaving again counts nothing', async () => {
    const folder = temporaryFolder();
    const spool = await open(folder);
    const entry = await spool.put(1000, data('x'));
    await spool.leave([entry], 'stored');
    await spool.leave([entry], 'stored');
    expect(spool.counts).toEqual({ taken: 1, stored: 1, expired: 0, dropped: 0, quarantined: 0, spooled: 0 });
    expect(readdirSync(folder)).toEqual(['ledger']);
  });

  test('beyond its bytes the oldest go, counted as a gap, and never the newest', async () => {
    const spool = await open(temporaryFolder(), { bytes: 250, snapshots: 1000 });
    for (let i = 1; i <= 5; i++) await spool.put(i * 1000, Buffer.alloc(100));
    expect(timesOf(spool)).toEqual([4000, 5000]);
    expect(spool.gap).toMatchObject({ from: 1000, to: 3000 });
    await spool.put(20_000, Buffer.alloc(1000));
    expect(timesOf(spool)).toEqual([20_000]);
    expect(spool.gap).toMatchObject({ from: 1000, to: 5000 });
    expect(spool.counts).toEqual({ taken: 6, stored: 0, expired: 0, dropped: 5, quarantined: 0, spooled: 1 });
  });

  test('72 h are counted in snapshots, so that a clock that jumps drops nothing', async () => {
    expect(spoolLimits(10_000).snapshots).toBe(25_920);
    const spool = await open(temporaryFolder(), { bytes: 1e9, snapshots: 3 });
    for (const time of [1000, 2000, 1e12, 3000]) await spool.put(time, Buffer.alloc(10));
    expect(timesOf(spool)).toEqual([2000, 1e12, 3000]);
  });

  test('its accounting goes on over restarts, whatever the limits were', async () => {
    const folder = temporaryFolder();
    const before = await open(folder);
    for (let i = 1; i <= 5; i++) await before.put(i * 1000, Buffer.alloc(100));
    await before.leave([first(before)], 'stored');
    await before.leave([first(before)], 'quarantined');
    const spool = await open(folder, { bytes: 350, snapshots: 1000 });
    await spool.put(6000, Buffer.alloc(100));
    expect((await open(folder)).counts).toEqual({
      taken: 6,
      stored: 1,
      expired: 0,
      dropped: 1,
      quarantined: 1,
      spooled: 3,
    });
  });

  test('a file that vanished is a dropped snapshot', async () => {
    const folder = temporaryFolder();
    const spool = await open(folder);
    for (let i = 1; i <= 3; i++) await spool.put(i * 1000, Buffer.alloc(100));
    rmSync(join(folder, nameOf(first(spool))));
    expect((await open(folder)).counts).toEqual({
      taken: 3,
      stored: 0,
      expired: 0,
      dropped: 1,
      quarantined: 0,
      spooled: 2,
    });
  });

  test('what was counted before a kill is removed after it, and never counted or sent again', async () => {
    const folder = temporaryFolder();
    const spool = await open(folder);
    const entry = await spool.put(1000, data('x'));
    await spool.put(2000, data('y'));
    const name = nameOf(entry);
    await spool.leave([entry], 'stored');
    writeFileSync(join(folder, name), 'x');
    const again = await open(folder);
    expect(again.counts).toEqual({ taken: 2, stored: 1, expired: 0, dropped: 0, quarantined: 0, spooled: 1 });
    expect(readdirSync(folder)).not.toContain(name);
  });

  test.each([
    ['damaged', (text: string) => text.replaceAll(/"stored":[02]/g, '"stored":3')],
    ['cut off', (text: string) => text.slice(0, 20)],
    ['empty', () => ''],
  ])('a ledger that is %s starts anew from the files', async (_, damage) => {
    const folder = temporaryFolder();
    const spool = await open(folder);
    for (let i = 1; i <= 4; i++) await spool.put(i * 1000, data('x'));
    await spool.leave(spool.oldest(2), 'stored');
    const path = join(folder, 'ledger');
    writeFileSync(path, damage(readFileSync(path, 'utf8')));
    expect((await open(folder)).counts).toEqual({
      taken: 4,
      stored: 2,
      expired: 0,
      dropped: 0,
      quarantined: 0,
      spooled: 2,
    });
  });

  test('a folder that a live collector uses is refused, one that a dead one used is not', async () => {
    const folder = temporaryFolder();
    const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'ignore' });
    writeFileSync(join(folder, 'in-use-by'), identityOf(other.pid as number));
    await expect(openLockedSpool(folder, spoolLimits(10_000))).rejects.toThrow(
      new RegExp(`^process ${other.pid} uses the spool .*; stop that one or choose another folder with --data$`),
    );
    const ended = new Promise((resolve) => other.once('exit', resolve));
    other.kill('SIGKILL');
    await ended;
    await (await openLockedSpool(folder, spoolLimits(10_000))).unlock();
    expect(readdirSync(folder)).toEqual(['ledger', 'quarantine']);
  });

  test('a write that fails leaves nothing behind and counts nothing', async () => {
    const folder = temporaryFolder();
    const spool = await open(folder);
    await expect(spool.put(1000, { length: 5 } as unknown as Uint8Array)).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(['ledger']);
    expect(spool.counts.taken).toBe(0);
  });

  test('quarantine takes it out of the way and keeps it', async () => {
    const folder = temporaryFolder();
    const spool = await open(folder);
    const entry = await spool.put(1000, data('x'));
    await spool.leave([entry], 'quarantined');
    expect(spool.counts).toEqual({ taken: 1, stored: 0, expired: 0, dropped: 0, quarantined: 1, spooled: 0 });
    expect(readdirSync(join(folder, 'quarantine'))).toEqual([nameOf(entry)]);
  });
});
