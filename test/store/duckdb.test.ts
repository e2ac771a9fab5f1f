import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { storeContract } from './store-contract.ts';

const options = { retentionMs: 2 * 86_400_000, warn: () => undefined };
const folder = temporaryFolder();

storeContract('duckdb', async () => ({
  open: () => openStore(`duckdb:${join(folder, 'contract', 'amberwatch.db')}`, options),
  now: Date.now(),
  durable: true,
  expires: true,
  conflict: 'first-wins',
}));

test('a file that cannot be opened is one clear sentence', async () => {
  await expect(openStore('duckdb:/etc/hostname/a.db', options)).rejects.toMatchObject({ code: 'unavailable' });
  await expect(openStore('duckdb:', options)).rejects.toThrow(/has no path; use duckdb:/);
  await expect(openStore('mysql://x', options)).rejects.toThrow(/names no store; use memory:, duckdb:/);
});
