import { isStale } from '../core/alarm.ts';
import type { Forecast } from '../core/forecast.ts';
import { seenAt } from '../core/host-clock.ts';
import { isOfOtherSource, seriesKey } from '../core/series.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import type { Reads } from '../core/store.ts';
import { snapshotKey } from '../core/usage-row.ts';
import { newestForecasts } from '../forecast/newest-forecasts.ts';

/** The newest forecast of each series; of a silent host those of when it was last heard of, which are remembered. */
export class KnownForecasts {
  /** Time between two forecasts. */
  readonly #stepMs: number;
  #ofSilent = new Map<string, Forecast[]>();

  constructor(stepMs: number) {
    this.#stepMs = stepMs;
  }

  async read(hosts: readonly SnapshotHeader[], at: number, reads: Reads<[]>): Promise<Forecast[]> {
    const fresh = await newestForecasts(reads, at, this.#stepMs);
    const silent = hosts.filter((each) => isStale(each, at));
    const last: Forecast[][] = [];
    // One after the other: all at once they would fill the lane.
    for (const header of silent) last.push(await this.#lastOf(header, at, reads));
    // The step in which a host fell silent ends after its last snapshot: until then nothing is final.
    const final = silent.flatMap((header, index) =>
      at > this.#endOf(header) ? [[snapshotKey(header), last[index] as Forecast[]] as const] : [],
    );
    this.#ofSilent = new Map(final);
    const newest = new Map([...last.flat(), ...fresh].map((forecast) => [seriesKey(forecast.series), forecast]));
    return [...newest.values()];
  }

  async #lastOf(header: SnapshotHeader, at: number, reads: Reads<[]>): Promise<Forecast[]> {
    const known = this.#ofSilent.get(snapshotKey(header));
    const until = Math.min(at, this.#endOf(header));
    const matchers = [{ label: 'host', operator: '=', value: header.host }] as const;
    const last = known ?? (await newestForecasts(reads, until, this.#stepMs, { matchers }));
    // Other sources may go on although the collector of their host does not.
    return last.filter(({ series }) => !isOfOtherSource(series.metric));
  }

  #endOf(header: SnapshotHeader): number {
    return seenAt(header) + 2 * this.#stepMs;
  }
}
