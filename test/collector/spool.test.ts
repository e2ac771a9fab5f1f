import { spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Spool } from '../../src/collector/spool.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const data = (text: string) => Buffer.from(text);

describe('spool', () => {
  test('gives back what it was given, oldest first, also after a restart', async () => {
    const folder = temporaryFolder();
    const spool = await Spool.open(folder);
    for (const time of [2000, 1000, 3000]) await spool.put(time, data(`at ${time}`));
    const again = await Spool.open(folder);
    const entries = await again.list();
    expect(entries.map((entry) => entry.time)).toEqual([1000, 2000, 3000]);
    expect((await again.read(entries[0] as (typeof entries)[0])).toString()).toBe('at 1000');
    const added = await again.put(1000, data('same instant'));
    expect((await again.list()).map((entry) => entry.file)).toContain(added.file);
    expect(await again.list()).toHaveLength(4);
  });

  test('a write that was cut off leaves nothing behind', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, '00000000001000-000000001-5.json.gz.tmp'), 'half');
    writeFileSync(join(folder, 'notes.txt'), 'not ours');
    const spool = await Spool.open(folder);
    expect(await spool.list()).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual(['in-use-by', 'notes.txt', 'quarantine']);
  });

  test('what is removed is gone, and removing it again is no error', async () => {
    const spool = await Spool.open(temporaryFolder());
    const entry = await spool.put(1000, data('x'));
    await spool.remove(entry);
    await spool.remove(entry);
    expect(await spool.list()).toEqual([]);
  });

  test('beyond its limits the oldest go, counted, and never the newest', async () => {
    const spool = await Spool.open(temporaryFolder(), { bytes: 250, ageMs: 10_000 });
    for (let i = 1; i <= 5; i++) await spool.put(i * 1000, Buffer.alloc(100));
    expect((await spool.list()).map((entry) => entry.time)).toEqual([4000, 5000]);
    await spool.put(20_000, Buffer.alloc(1000));
    expect((await spool.list()).map((entry) => entry.time)).toEqual([20_000]);
    expect(spool.counts).toEqual({ taken: 6, dropped: 5, quarantined: 0 });
  });

  test('beyond its age the oldest go, looked at now and then', async () => {
    const spool = await Spool.open(temporaryFolder(), { bytes: 1e9, ageMs: 20_000 });
    for (let i = 1; i <= 90; i++) await spool.put(i * 1000, Buffer.alloc(10));
    expect((await spool.list())[0]?.time).toBe(70_000);
  });

  test('knows after a restart how much is in it', async () => {
    const folder = temporaryFolder();
    const before = await Spool.open(folder);
    for (let i = 1; i <= 4; i++) await before.put(i * 1000, Buffer.alloc(100));
    const spool = await Spool.open(folder, { bytes: 350, ageMs: 1e9 });
    await spool.put(5000, Buffer.alloc(100));
    expect((await spool.list()).map((entry) => entry.time)).toEqual([3000, 4000, 5000]);
  });

  test('a folder that a live collector uses is refused, one that a dead one used is not', async () => {
    const folder = temporaryFolder();
    const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'ignore' });
    writeFileSync(join(folder, 'in-use-by'), String(other.pid));
    await expect(Spool.open(folder)).rejects.toThrow(
      new RegExp(`^process ${other.pid} uses the spool .*; stop that one or choose another folder with --data$`),
    );
    const ended = new Promise((resolve) => other.once('exit', resolve));
    other.kill('SIGKILL');
    await ended;
    await (await Spool.open(folder)).close();
    expect(readdirSync(folder)).toEqual(['quarantine']);
  });

  test('a write that fails leaves nothing behind', async () => {
    const folder = temporaryFolder();
    const spool = await Spool.open(folder);
    await expect(spool.put(1000, 5 as unknown as Uint8Array)).rejects.toThrow();
    expect(readdirSync(folder).sort()).toEqual(['in-use-by', 'quarantine']);
  });

  test('quarantine takes it out of the way and keeps it', async () => {
    const folder = temporaryFolder();
    const spool = await Spool.open(folder);
    const entry = await spool.put(1000, data('x'));
    await spool.quarantine(entry);
    expect(await spool.list()).toEqual([]);
    expect(readdirSync(join(folder, 'quarantine'))).toEqual([entry.file]);
  });
});
