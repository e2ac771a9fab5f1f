import { maxAheadMs, placedAt } from '../../core/host-clock.ts';
import type { SnapshotHeader } from '../../core/snapshot.ts';
import type { Reading, TimeWindow } from '../../core/store.ts';
import { decodeName } from './name-codec.ts';
import { toHeader } from './points.ts';
import type { Queries } from './queries.ts';
import {
  headerStatement,
  headersStatements,
  hostsStatement,
  lastPlacedStatement,
  rightStatement,
} from './statements.ts';

/** The newest snapshot of each host, wherever its clock has put it. */
export class HeaderReads {
  readonly #queries: Queries;
  readonly #retentionMs: number;

  constructor(queries: Queries, retentionMs: number) {
    this.#queries = queries;
    this.#retentionMs = retentionMs;
  }

  async headers(window: TimeWindow, reading: Reading = {}): Promise<SnapshotHeader[]> {
    const [here, ahead] = await this.#queries.all(headersStatements(window), reading, window);
    return [
      ...(here ?? []).map(toHeader),
      ...(ahead ?? []).map((row) => ({ ...toHeader(row), isFromFuture: true as const })),
    ];
  }

  async latest(at: number, reading: Reading = {}) {
    const from = at - this.#retentionMs;
    const byTime = (await this.#queries.one(hostsStatement({ from, to: at }), reading)).map(toHeader);
    const newest = new Map(byTime.filter((header) => placedAt(header) <= at).map((header) => [header.host, header]));
    const candidates = [
      ...(await this.#rightOnes(byTime, { from, to: at }, reading)),
      ...(await this.#placedElsewhere({ from, to: at + maxAheadMs }, at, newest, reading)),
    ];
    for (const header of candidates)
      if (placedAt(header) > placedOf(newest.get(header.host))) newest.set(header.host, header);
    return [...newest.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  /** Of hosts whose newest was taken by a clock that is off, the newest of when it was right. */
  async #rightOnes(byTime: readonly SnapshotHeader[], window: TimeWindow, reading: Reading): Promise<SnapshotHeader[]> {
    const hosts = byTime.filter((header) => placedAt(header) !== header.time).map(({ host }) => host);
    return hosts.length === 0 ? [] : (await this.#queries.one(rightStatement(window, hosts), reading)).map(toHeader);
  }

  /** Of hosts whose clocks are off, the last at or before `at` by the server's time where that is not in `newest`. */
  async #placedElsewhere(
    window: TimeWindow,
    at: number,
    newest: ReadonlyMap<string, SnapshotHeader>,
    reading: Reading,
  ): Promise<SnapshotHeader[]> {
    const rows = await this.#queries.one(lastPlacedStatement(window, at), reading);
    const keys = rows
      .map((row) => ({ host: decodeName(String(row.host)), time: Number(row.time), placed: Number(row.placed) }))
      .filter(({ host, placed }) => placed > placedOf(newest.get(host)));
    if (keys.length === 0) return [];
    const found = await this.#queries.queryUnqueued(keys.map(headerStatement), reading.signal);
    return found.flat().map(toHeader);
  }
}

function placedOf(header: SnapshotHeader | undefined): number {
  return header === undefined ? Number.NEGATIVE_INFINITY : placedAt(header);
}
