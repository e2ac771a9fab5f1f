import { isUsageMetric } from '../../core/metric.ts';
import { parseSeries } from '../../core/selector.ts';
import { familyOf, hostSeries, processSeries, type Series } from '../../core/series.ts';
import type { Reading, TimeWindow, UsageFilter } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import type { Dictionary } from './dictionary.ts';
import type { NameTexts } from './name-texts.ts';
import type { Parts } from './parts.ts';
import type { Cost, Readers, Row } from './readers.ts';
import type { RowCounts } from './row-counts.ts';
import type { SeriesIds, StoredColumn } from './series-sql.ts';
import { hostsWithSql, type IdFilter } from './usage-sql.ts';

export interface Dictionaries {
  readers: Readers;
  hosts: Dictionary;
  names: NameTexts;
  series: NameTexts;
  counts: RowCounts;
  parts: Parts;
}

/** What every question needs: ids for names and names for ids, and a guess at what it costs by the rows of its window. */
export class IdLookup {
  readonly readers: Readers;
  readonly hosts: Dictionary;
  readonly names: NameTexts;
  readonly series: NameTexts;
  readonly counts: RowCounts;
  readonly parts: Parts;

  constructor({ readers, hosts, names, series, counts, parts }: Dictionaries) {
    this.readers = readers;
    this.hosts = hosts;
    this.names = names;
    this.series = series;
    this.counts = counts;
    this.parts = parts;
  }

  /** The rows of processes in the window, young and closed, as a relation; to be asked for when a query is made. */
  usage(window: TimeWindow, hosts?: readonly number[]): string {
    return this.parts.relation('usage', window, hosts === undefined ? {} : { hosts });
  }

  cost(window: TimeWindow, reading: Reading): Cost {
    return { ...reading, rows: this.counts.rowsIn(window) + this.parts.rolledBefore(window) };
  }

  /** Metrics of hosts have a row for each snapshot only. */
  costOf(metric: StoredColumn, cost: Cost): Cost {
    return isUsageMetric(metric) ? cost : { ...cost, rows: this.counts.snapshotsIn(cost.rows ?? 0) };
  }

  namesIn(rows: readonly { name?: unknown }[], reading: Reading): Promise<(id: number) => string> {
    const ids = new Set<number>();
    for (const { name } of rows) if (typeof name === 'number') ids.add(name);
    return this.names.of(ids, reading);
  }

  /** What gives the ids of a series of ours; null when its host or process was never stored, or it is of another source. */
  async seriesIds(
    all: readonly Series[],
    reading: Reading,
  ): Promise<(series: Series) => { host: number; name: number | null; column: StoredColumn } | null> {
    const texts = all.flatMap(({ labels }) => labels.process ?? []);
    const ids = await this.names.findAll(texts, reading);
    return ({ metric, labels }) => {
      const family = familyOf(metric);
      if (family.family === 'metric') return null;
      const host = this.hosts.find(labels.host ?? '');
      const name = family.family === 'process' ? ids.get(labels.process ?? '') : null;
      return host === undefined || name === undefined ? null : { host, name, column: family.column };
    };
  }

  async byColumn(series: readonly Series[], reading: Reading): Promise<Map<StoredColumn, SeriesIds[]>> {
    const idOf = await this.seriesIds(series, reading);
    const known = series.flatMap((each, index) => {
      const ids = idOf(each);
      return ids ? [{ ...ids, index }] : [];
    });
    return groupBy(known, ({ column }) => column);
  }

  /** Of rows with ids of the dictionary; what cannot be read there is left out. */
  async seriesOf(rows: readonly Row[], reading: Reading): Promise<Series[]> {
    const ids = rows.map(({ id }) => id as number);
    const textOf = await this.series.of(ids, reading);
    return ids.map((id) => parseSeries(textOf(id))).filter((series) => series !== null);
  }

  /** Of rows with a host and, of columns of processes, a name. */
  async seriesOfHosts(rows: readonly Row[], column: StoredColumn, reading: Reading): Promise<Series[]> {
    const nameOf = await this.namesIn(rows, reading);
    return rows.map((row) => {
      const host = this.hosts.text(row.host as number);
      return isUsageMetric(column) ? processSeries(column, host, nameOf(row.name as number)) : hostSeries(column, host);
    });
  }

  /** Names and the address as ids; null when what is asked for was never stored. */
  async ids(filter: UsageFilter & TimeWindow, cost: Cost): Promise<IdFilter | null> {
    const hosts = filter.hosts?.map((host) => this.hosts.find(host)).filter((id) => id !== undefined);
    const name = filter.process === undefined ? undefined : await this.names.find(filter.process, cost);
    if (hosts?.length === 0 || (filter.process !== undefined && name === undefined)) return null;
    const ofHosts =
      filter.ip === undefined ? { ...(hosts && { hosts }) } : await this.#withIp(filter.ip, filter, hosts, cost);
    return ofHosts && { ...ofHosts, ...(name !== undefined && { name }) };
  }

  /** Nearly always a host has one address in the whole window, and then its id says all. */
  async #withIp(ip: string, window: TimeWindow, hosts: number[] | undefined, cost: Cost): Promise<IdFilter | null> {
    const rows = await this.readers.query(hostsWithSql(window, ip, hosts), cost);
    if (rows.length === 0) return null;
    const idsOf = (whole: boolean) => rows.filter((row) => row.whole === whole).map((row) => row.host as number);
    const partly = idsOf(false);
    return { hosts: idsOf(true), ...(partly.length > 0 && { partly: { hosts: partly, ip } }) };
  }
}
