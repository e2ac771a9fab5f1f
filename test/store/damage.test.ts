import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const retentionMs = 2 * 86_400_000;
const checkpointed = 2000;
const logged = 200;
const all = { from: 0, to: Number.MAX_SAFE_INTEGER };
const processes = Array.from({ length: 100 }, (_, i) => ({ name: `process-${i}`, cpu: i, memory: (i * 7) % 100 }));
const snapshotAt = (i: number) => makeSnapshot({ time: noon + i * 10_000, processes });

describe('a damaged DuckDB file', () => {
  /** A store with most in its file and the rest in its log, as a kill leaves it. */
  const folder = temporaryFolder();
  const source = join(folder, 'source.db');
  beforeAll(async () => {
    const warn = () => undefined;
    const before = await openStore(`duckdb:${source}`, { retentionMs, warn });
    await before.append({ snapshots: Array.from({ length: checkpointed }, (_, i) => snapshotAt(i)) });
    await before.close();
    const store = await openStore(`duckdb:${source}`, { retentionMs, warn });
    for (let i = 0; i < logged; i += 10)
      await store.append({ snapshots: Array.from({ length: 10 }, (_, k) => snapshotAt(checkpointed + i + k)) });
    for (const suffix of ['', '.wal']) copyFileSync(`${source}${suffix}`, join(folder, `killed.db${suffix}`));
    await store.close();
  });

  async function openDamaged(name: string, damage: (path: string) => void) {
    const own = join(folder, name);
    mkdirSync(own);
    const path = join(own, 'a.db');
    for (const suffix of ['', '.wal']) copyFileSync(join(folder, `killed.db${suffix}`), `${path}${suffix}`);
    damage(path);
    const warnings: string[] = [];
    const store = await openStore(`duckdb:${path}`, { retentionMs, warn: (message) => warnings.push(message) });
    const rows = (await store.means({ ...all, process: 'process-1' }))[0]?.snapshots ?? 0;
    await store.append({ snapshots: [snapshotAt(5000)] });
    expect((await store.latest(Number.MAX_SAFE_INTEGER))[0]?.time).toBe(noon + 5000 * 10_000);
    expect(await store.rows([{ host: 'web-01', time: noon + 5000 * 10_000 }])).toHaveLength(100);
    await store.close();
    return { rows, warnings, aside: readdirSync(own).filter((file) => file.includes('damaged')) };
  }

  const flip = (path: string, at: number) => {
    const bytes = readFileSync(path);
    bytes[at] = (bytes[at] as number) ^ 0x10;
    writeFileSync(path, bytes);
  };

  test('undamaged: all is there, and nothing is said', async () => {
    expect(await openDamaged('whole', () => undefined)).toEqual({
      rows: checkpointed + logged,
      warnings: [],
      aside: [],
    });
  });

  test('a log damaged in the middle: what came before the damage is kept', async () => {
    const { rows, warnings, aside } = await openDamaged('log', (path) =>
      flip(`${path}.wal`, Math.floor(statSync(`${path}.wal`).size / 2)),
    );
    expect(rows).toBeGreaterThanOrEqual(checkpointed + logged / 2 - 20);
    expect(rows).toBeLessThan(checkpointed + logged);
    expect(warnings).toEqual([
      expect.stringMatching(/the write-ahead log of .* was damaged from byte \d+ on; what came before is kept/),
    ]);
    expect(aside).toHaveLength(1);
  });

  test('a log cut off, as by a power cut: what was whole is kept', async () => {
    const { rows } = await openDamaged('cut', (path) =>
      truncateSync(`${path}.wal`, Math.floor(statSync(`${path}.wal`).size / 2)),
    );
    expect(rows).toBeGreaterThanOrEqual(checkpointed + logged / 2 - 20);
  });

  test('a block of the file damaged: all that is readable is kept', async () => {
    const { warnings, aside } = await openDamaged('block', (path) => flip(path, Math.floor(statSync(path).size / 2)));
    expect(warnings).toEqual([
      expect.stringMatching(/was damaged and is in .*; \d+ rows of it could not be read, all others are kept/),
    ]);
    expect(aside.length).toBeGreaterThan(0);
  });

  test.each([
    ['its header', (path: string) => flip(path, 8)],
    ['all of it cut off', (path: string) => truncateSync(path, 100)],
  ])('%s: it starts empty, and what there was is kept aside', async (name, damage) => {
    const { rows, warnings, aside } = await openDamaged(name, damage);
    expect(rows).toBe(0);
    expect(warnings).toEqual([expect.stringMatching(/nothing of it could be read: starting empty/)]);
    expect(aside.length).toBeGreaterThan(0);
  });
});
