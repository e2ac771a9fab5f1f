import type { Store } from '../src/core/store.ts';
import { openStore } from '../src/store/open.ts';

export interface StoredTimes {
  times: Set<number>;
  repeated: number;
}

/** Opens a store that nobody else has open. */
export function openQuietly(url: string, retentionMs = 2 * 86_400_000): Promise<Store> {
  return openStore(url, { retentionMs, warn: () => undefined });
}

/** The times at which a host has a row of this process, and how many of them are there more than once. */
export async function storedTimes(store: Store, host: string, process: string): Promise<StoredTimes> {
  const window = { from: 0, to: Date.now() + 86_400_000 };
  const times = new Set<number>();
  let rows = 0;
  for (const page of await pagesOf(store, window.from, window.to, host, process)) {
    rows += page.length;
    for (const time of page) times.add(time);
  }
  return { times, repeated: rows - times.size };
}

async function pagesOf(store: Store, from: number, to: number, host: string, process: string): Promise<number[][]> {
  const limit = 100_000;
  const times = [...(await store.page({ from, to, hosts: [host], process, limit, skip: 0 })).time];
  if (times.length < limit) return [times];
  return [times, ...(await pagesOf(store, times.at(-1) as number, to, host, process))];
}
