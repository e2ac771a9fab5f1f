import { mostSelected } from '../../core/answer-bounds.ts';
import { sketchError, sketched } from '../../core/bucket.ts';
import { MonitorError } from '../../core/error.ts';
import { exactValue, labelTest } from '../../core/label-test.ts';
import type { UsageMetric } from '../../core/metric.ts';
import { ReadLane } from '../../core/read-lane.ts';
import { familyOf, type Labels, processSeries, seriesKey } from '../../core/series.ts';
import { labelsOf, type StatisticsAnswer, type StatisticsQuery } from '../../core/statistics.ts';
import type { Reading, Selected, SelectQuery } from '../../core/store.ts';
import { ValueSummary } from '../../core/value-summary.ts';
import { takingTurns } from '../../platform/turns.ts';
import { mostGroups, mostSamples, statisticsOfSamples, tooManyGroups } from '../statistics.ts';
import { placeOf, planOf, type RollupPlan, resolutionOf, wholeBins } from './rollup-plan.ts';
import { summariesOf } from './rollup-points.ts';
import { binMs, type Rollups } from './rollups.ts';

/** A plan is made anew where what it has is written anew meanwhile. */
const mostTries = 3;

/** What the values of series come to in a window: of samples where they are few, else of roll-ups. */
export class StatisticsReads {
  readonly #rollups: Rollups;
  /** What is taken apart at a time: it is much. */
  readonly #lane = new ReadLane(2, 32);
  readonly #select: (query: SelectQuery, reading: Reading) => Promise<Selected[]>;

  constructor(rollups: Rollups, select: (query: SelectQuery, reading: Reading) => Promise<Selected[]>) {
    this.#rollups = rollups;
    this.#select = select;
  }

  async statistics(query: StatisticsQuery, reading: Reading = {}): Promise<StatisticsAnswer> {
    const family = familyOf(query.selector.metric);
    const isRolledUp = family.family === 'process' && sketched.includes(family.column);
    // Of one process there are not many.
    const isFew = exactValue(query.selector.matchers, 'process') !== undefined;
    const rolled = isRolledUp && !isFew && !query.isExact ? await this.#rolled(family.column, query, reading) : null;
    return rolled ?? statisticsOfSamples(this.#select, query, reading);
  }

  /** Null: the samples themselves tell. */
  async #rolled(column: UsageMetric, query: StatisticsQuery, reading: Reading): Promise<StatisticsAnswer | null> {
    for (let tries = 0; tries < mostTries; tries++) {
      const plan = await this.#plan(query, reading);
      if (plan === null) return null;
      const groups = await this.#lane.run(() => this.#groups(column, plan, query, reading), reading.signal);
      if (groups === null) continue;
      const all = groups.all();
      if (groups.series <= mostSelected && valuesIn(all) <= mostSamples) return null;
      return {
        statistics: all.flatMap(({ labels, summary }) => summary.statistics(labels) ?? []),
        percentileError: sketchError,
        told: { ...plan.window, resolution: resolutionOf(plan) },
      };
    }
    throw new MonitorError('unavailable', 'late samples of this window are being rolled up just now; ask again');
  }

  async #plan(query: StatisticsQuery, reading: Reading): Promise<RollupPlan | null> {
    const window = wholeBins(query);
    const hosts = hostsOf(query);
    const [counts, marks] = await Promise.all([
      this.#rollups.counts(window, hosts, reading),
      this.#rollups.marks(window, hosts, reading),
    ]);
    const ofHost = query.selector.matchers.filter(({ label }) => label === 'host');
    const fits = labelTest({ matchers: ofHost });
    for (const host of counts.keys()) if (!fits({ host })) counts.delete(host);
    return planOf(window, counts, marks, { series: mostSelected, samples: mostSamples });
  }

  /** Null: a roll-up of the plan has been replaced since. */
  async #groups(
    column: UsageMetric,
    { rolled, missing }: RollupPlan,
    query: StatisticsQuery,
    reading: Reading,
  ): Promise<Groups | null> {
    const groups = new Groups(column, query);
    const turn = takingTurns(reading.signal);
    for (const { length, window, planned } of rolled) {
      let left = planned.size;
      for (const { key, parts } of await this.#rollups.rollups([column], length, window, hostsOf(query), reading)) {
        if (Number(parts[0]?.snapshots) !== planned.get(placeOf(key))) continue;
        left--;
        for (const row of parts) {
          for (const [process, summary] of summariesOf(row, column)) groups.add(key.host, process, summary);
          await turn();
        }
      }
      if (left > 0) return null;
    }
    for (const { host, time } of missing) {
      const { columns } = await this.#rollups.summarize(host, { from: time, to: time + binMs }, reading);
      for (const [process, summary] of columns.get(column) ?? []) groups.add(host, process, summary);
    }
    return groups;
  }
}

/** The only one that a selector names, if it is one. */
function hostsOf({ selector }: StatisticsQuery): string[] | undefined {
  const host = exactValue(selector.matchers, 'host');
  return host === undefined ? undefined : [host];
}

interface Group {
  labels: Labels;
  summary: ValueSummary;
}

/** The series that are meant, as they are taken together. */
class Groups {
  readonly #column: UsageMetric;
  readonly #by: readonly string[] | undefined;
  readonly #fits: (labels: Labels) => boolean;
  readonly #byHost = new Map<string, Map<string, Group | null>>();
  readonly #byLabels = new Map<string, Group>();
  #series = 0;

  constructor(column: UsageMetric, { selector, by }: StatisticsQuery) {
    this.#column = column;
    this.#by = by;
    this.#fits = labelTest({ matchers: selector.matchers });
  }

  add(host: string, process: string, summary: ValueSummary): void {
    const ofHost = this.#byHost.get(host) ?? new Map<string, Group | null>();
    this.#byHost.set(host, ofHost);
    const known = ofHost.get(process);
    const group = known === undefined ? this.#groupOf(host, process) : known;
    if (known === undefined) ofHost.set(process, group);
    group?.summary.merge(summary);
  }

  /** How many series are meant. */
  get series(): number {
    return this.#series;
  }

  all(): Group[] {
    return [...this.#byLabels.values()];
  }

  /** Null: it is not meant. @throws MonitorError `invalid` for too many */
  #groupOf(host: string, process: string): Group | null {
    const { metric, labels: own } = processSeries(this.#column, host, process);
    if (!this.#fits(own)) return null;
    this.#series++;
    const labels = labelsOf(own, this.#by);
    const key = seriesKey({ metric, labels });
    const group = this.#byLabels.get(key) ?? { labels, summary: new ValueSummary() };
    this.#byLabels.set(key, group);
    if (this.#byLabels.size > mostGroups) throw tooManyGroups();
    return group;
  }
}

function valuesIn(groups: readonly Group[]): number {
  return groups.reduce((sum, { summary }) => sum + (summary.moments?.count ?? 0), 0);
}
