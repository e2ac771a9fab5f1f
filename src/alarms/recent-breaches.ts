import { gapOf, isStale } from '../core/alarm.ts';
import { binByTime } from '../core/bin-by-time.ts';
import { isOfOtherSource, type Series, seriesKey } from '../core/series.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import type { Reads } from '../core/store.ts';
import { isProcessThreshold, levelFactor, type Threshold } from '../core/threshold.ts';
import type { ThresholdSet } from '../core/threshold-set.ts';
import { snapshotKey, type UsageRow } from '../core/usage-row.ts';
import { groupBy } from '../platform/group-by.ts';
import { prefilter, type Reporter } from './candidate.ts';

/** Somebody else's interval must not make every evaluation read hours. */
const longestHeldGapMs = 600_000;

/** Of a snapshot: the processes that are or were of late over some clear level, and what was. */
interface SnapshotBreaches {
  rows: UsageRow[];
  /** Keys of series. */
  held: string[];
}

export interface RecentBreaches {
  rows: UsageRow[];
  /** Keys of series that were over their clear level of late; some that were not may be among them. */
  held: ReadonlySet<string>;
}

/** What of the newest snapshots may be RED. Of a silent host it never changes, and is remembered. */
export class RecentBreachesReader {
  readonly #lines: ThresholdSet;
  #lastSeen = new Map<string, SnapshotBreaches>();

  constructor(lines: ThresholdSet) {
    this.#lines = lines;
  }

  async read(hosts: readonly SnapshotHeader[], at: number, reads: Reads<[]>): Promise<RecentBreaches> {
    const unknown = hosts.filter((header) => !this.#lastSeen.has(snapshotKey(header)));
    const rows = groupBy(await reads.rows(unknown, this.#wanted(hosts, unknown)), ({ host }) => host);
    const held = await this.#held(unknown, reads);
    const seen = hosts.map((header): [SnapshotHeader, SnapshotBreaches] => [
      header,
      this.#lastSeen.get(snapshotKey(header)) ?? {
        rows: rows.get(header.host) ?? [],
        held: held.get(header.host) ?? [],
      },
    ]);
    const silent = seen.filter(([header]) => isStale(header, at));
    this.#lastSeen = new Map(silent.map(([header, each]) => [snapshotKey(header), each]));
    return { rows: seen.flatMap(([, each]) => each.rows), held: new Set(seen.flatMap(heldKeys)) };
  }

  #wanted(hosts: readonly SnapshotHeader[], unknown: readonly SnapshotHeader[]) {
    const withinMs = heldWithin(this.#lines.all.filter(isProcessThreshold), unknown);
    return { above: prefilter(this.#lines.all, hosts), ...(withinMs > 0 && { withinMs }) };
  }

  /** By host, the keys of its series that were over their clear level of late, now included; some that were not may come along. */
  async #held(hosts: readonly SnapshotHeader[], reads: Reads<[]>): Promise<Map<string, string[]>> {
    const held = this.#lines.all.filter(({ holdMs, selector }) => holdMs > 0 && !isOfOtherSource(selector.metric));
    // One look for all lines on one metric, however many selectors there are.
    const byMetric = groupBy(held, ({ selector }) => selector.metric);
    const found: Series[] = [];
    for (const bin of binByTime(hosts)) {
      const times = bin.map(({ time }) => time);
      for (const [metric, thresholds] of byMetric) {
        const window = { from: Math.min(...times) - heldWithin(thresholds, bin), to: Math.max(...times) };
        const levels = thresholds.flatMap((each) => bin.map(({ cores }) => each.clear * levelFactor(each, cores)));
        for (const series of await reads.above({ metric, matchers: [] }, Math.min(...levels), window))
          found.push(series);
      }
    }
    const byHost = groupBy(found, ({ labels }) => labels.host ?? '');
    return new Map([...byHost].map(([host, series]) => [host, series.map(seriesKey)]));
  }
}

/** One that reports more rarely ends at once, whoever else is looked at with it. */
function heldKeys([header, { held }]: [SnapshotHeader, SnapshotBreaches]): string[] {
  return gapOf(header) > longestHeldGapMs ? [] : held;
}

/** How long before a snapshot a value that is still RED was over its clear level. Of hosts that report rarely RED ends at once. */
function heldWithin(thresholds: readonly Threshold[], hosts: readonly Reporter[]): number {
  const holdMs = Math.max(0, ...thresholds.map((threshold) => threshold.holdMs));
  return holdMs === 0 ? 0 : holdMs + Math.min(longestHeldGapMs, Math.max(0, ...hosts.map(gapOf)));
}
