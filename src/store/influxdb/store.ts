import { mostNamed, refuseTooMany } from '../../core/answer-bounds.ts';
import { binByTime } from '../../core/bin-by-time.ts';
import { MonitorError, messageOf } from '../../core/error.ts';
import { maxAheadMs, placedAt } from '../../core/host-clock.ts';
import { exactValue } from '../../core/label-test.ts';
import { isUsageMetric, meanColumnIds, snakeCase } from '../../core/metric.ts';
import { ReadLane } from '../../core/read-lane.ts';
import { isKnown, type MetricSample, type Point, type Sample } from '../../core/sample.ts';
import { parseSeries, type Selector } from '../../core/selector.ts';
import { familyOf, hostSeries, processSeries, type Series, seriesKey } from '../../core/series.ts';
import type { Snapshot, SnapshotHeader } from '../../core/snapshot.ts';
import {
  type Appended,
  type ForecastQuery,
  type MeanQuery,
  type MeanRow,
  newNamesDefault,
  type PageQuery,
  type Reading,
  type Records,
  type Selected,
  type SelectQuery,
  type Store,
  type TimeWindow,
  type UsageFilter,
} from '../../core/store.ts';
import { addTallies, type HourTally } from '../../core/tally.ts';
import {
  byTimeHostName,
  nameKey,
  type RowsWanted,
  type SnapshotKey,
  type UsageRow,
  wantedOf,
} from '../../core/usage-row.ts';
import { toTable, type UsageTable } from '../../core/usage-table.ts';
import { groupBy } from '../../platform/group-by.ts';
import { untilAborted } from '../../platform/shared-work.ts';
import { GroupCommit } from '../group-commit.ts';
import { admitNames, admitSeries } from '../name-budget.ts';
import type { InfluxCredentials, OpenOptions } from '../open-options.ts';
import { type StoredPoint, withExits } from '../samples.ts';
import { bySource, counterReachMs, filterTest, fitting, inSteps, selectedOf, toldOf } from '../series-filter.ts';
import { bootstrap } from './bootstrap.ts';
import { InfluxConnection, isAway, PastRetention, parseAddress, type Row } from './connection.ts';
import { KnownNames } from './known-names.ts';
import { decodeName } from './name-codec.ts';
import {
  newNamesPoint,
  newSeriesPoint,
  numberOf,
  toForecast,
  toForecastPoint,
  toHeader,
  toPoints,
  toSamplePoint,
  toTally,
  toTallyPoint,
  toUsage,
  triedPoint,
} from './points.ts';
import {
  addressStatements,
  detailedStatement,
  forecastsStatement,
  headerStatement,
  hostsStatement,
  lastPlacedStatement,
  meanStatements,
  namesRowsStatement,
  namesStatement,
  newNamesStatement,
  newSeriesStatement,
  overStatement,
  type PointFilter,
  peaksStatement,
  pointsStatement,
  presentStatement,
  rightStatement,
  rowsStatement,
  type StoredColumn,
  seriesStatement,
  sourceSamplesStatement,
  sourceSeriesStatement,
  sourceStepsStatement,
  stepsStatement,
  sweepsStatement,
  talliesStatements,
  triedStatement,
} from './queries.ts';

/** A point as an object and then as a line, in memory. */
const pointBytes = 250;
/** Bytes in one request, some 5,000 points (what InfluxDB takes fastest), and bytes waiting, at most. */
const limits = { group: 5_000 * pointBytes, queue: 64 * 1024 ** 2 };
/** While InfluxDB is away it is looked for at most so often. */
const prepareEveryMs = 2_000;
/** A read of a longer window is heavy. */
const heavyMs = 6 * 3_600_000;
/** Points over a level are asked for one by one in a window of up to so long. */
const shortMs = 2 * 3_600_000;
/** Counters whose rates are looked at for whether they are above a level. */
const mostCounters = 2000;
/** Series asked for in one query. */
const seriesPerQuery = 50;

/**
 * InfluxDB 1.6 to 3.x. A repeated snapshot overwrites the same points, so a retry is stored once; a
 * different body for the same (host, time) would win over the first.
 * While InfluxDB is away everything is `unavailable`; when it comes it is set up then.
 * @throws MonitorError `invalid` for the url, `unavailable` when what it answers cannot be worked with
 */
export async function openInfluxdbStore(
  url: string,
  options: OpenOptions,
  credentials: InfluxCredentials,
): Promise<Store> {
  const address = parseAddress(url);
  const connection = new InfluxConnection(address, credentials);
  const prepare = () => bootstrap(connection, address.database, { ...options, ...credentials });
  const store = new InfluxdbStore(url, options, connection, prepare);
  await store.prepare().catch((error: unknown) => {
    if (!isAway(error)) throw error;
    options.warn(`${messageOf(error)}; the server starts without it, answers 503, and takes over when it is there`);
  });
  return store;
}

class InfluxdbStore implements Store {
  readonly url: string;
  readonly expiresItself = true;
  readonly #retentionMs: number;
  readonly #connection: InfluxConnection;
  readonly #commit: GroupCommit<Snapshot>;
  readonly #prepareOnce: () => Promise<void>;
  /** Null: to be tried. */
  #prepared: Promise<void> | null = null;
  /** Those that InfluxDB has refused for their age. */
  readonly #refused = new WeakSet<Snapshot>();
  readonly #lanes = { light: new ReadLane(8, 200), heavy: new ReadLane(2, 32) };
  readonly #now: () => number;
  readonly #warn: (message: string) => void;
  /** Process names by host, and series of other sources by whom they are of. */
  readonly #names: KnownNames;
  readonly #series: KnownNames;

  constructor(url: string, options: OpenOptions, connection: InfluxConnection, prepare: () => Promise<void>) {
    const { retentionMs, newNamesPerDay = newNamesDefault, now = Date.now, warn } = options;
    this.#prepareOnce = prepare;
    this.url = url;
    this.#retentionMs = retentionMs;
    this.#now = now;
    this.#warn = warn;
    this.#connection = connection;
    const shared = {
      query: (statements: readonly string[]) => connection.query(statements),
      perDay: newNamesPerDay,
      now,
    };
    this.#names = new KnownNames({
      ...shared,
      namesStatement,
      countStatement: newNamesStatement,
      countPoint: newNamesPoint,
    });
    this.#series = new KnownNames({
      ...shared,
      namesStatement: seriesStatement,
      countStatement: newSeriesStatement,
      countPoint: newSeriesPoint,
    });
    this.#commit = new GroupCommit(
      (group) => this.#write(group),
      (snapshot) => (snapshot.processes.name.length + 1) * pointBytes,
      limits,
    );
  }

  /** Finds out what InfluxDB this is and sets it up, unless that has been done. Whoever comes meanwhile waits for the same. */
  prepare(): Promise<void> {
    if (this.#prepared === null) {
      const trying = this.#prepareOnce();
      this.#prepared = trying;
      // A while later somebody else may try again.
      trying.catch(() => setTimeout(() => (this.#prepared = null), prepareEveryMs).unref());
    }
    return this.#prepared;
  }

  async append({ snapshots = [], samples = [], forecasts = [], accuracy }: Records): Promise<Appended> {
    await this.prepare();
    for (const snapshot of snapshots) await this.#admitNames(snapshot);
    await this.#commit.addAll(snapshots);
    const refused: (Snapshot | MetricSample)[] = snapshots.filter((snapshot) => this.#refused.has(snapshot));
    const taken = await this.#appendSamples(samples);
    if (forecasts.length > 0) await this.#connection.write(forecasts.map(toForecastPoint)).catch(ignorePastRetention);
    // Points of the same series and hour are overwritten.
    const tallies = accuracy?.tallies ?? [];
    if (tallies.length > 0) await this.#connection.write(tallies.map(toTallyPoint)).catch(ignorePastRetention);
    return { refused: [...refused, ...taken.refused], beyondBudget: taken.beyondBudget };
  }

  /** Names that its host has never had, as far as it may bring them along today; each is a series for ever. */
  async #admitNames(snapshot: Snapshot): Promise<void> {
    const { host } = snapshot;
    const known = await this.#names.of(host);
    if (admitNames(snapshot, known, this.#names.budget, this.#now(), this.#warn)) this.#names.spent(host);
  }

  async #appendSamples(samples: readonly MetricSample[]): Promise<Appended> {
    const beyondBudget: MetricSample[] = [];
    const admitted: MetricSample[] = [];
    for (const sample of samples) ((await this.#admitSeries(sample)) ? admitted : beyondBudget).push(sample);
    if (admitted.length === 0) return { refused: [], beyondBudget };
    const counts = this.#series.countsOf(admitted.map(({ owner }) => owner));
    let refused: MetricSample[] = [];
    try {
      await this.#connection.write([...admitted.map(toSamplePoint), ...counts.points]);
    } catch (error) {
      if (!(error instanceof PastRetention)) throw error;
      const byTime = admitted.toSorted((a, b) => a.time - b.time);
      const oldest = this.#now() - this.#retentionMs;
      refused = byTime.slice(0, error.points ?? byTime.findLastIndex(({ time }) => time < oldest) + 1);
    }
    counts.settle();
    return { refused, beyondBudget };
  }

  async #admitSeries({ series, owner }: MetricSample): Promise<boolean> {
    const key = seriesKey(series);
    const known = await this.#series.of(owner);
    if (known.has(key)) return true;
    if (!admitSeries(owner, this.#series.budget, this.#now(), this.#warn)) return false;
    known.add(key);
    this.#series.spent(owner);
    return true;
  }

  /** Where it cannot be told which of a group are too old, the group is written once more, each alone. */
  async #write(group: readonly Snapshot[]): Promise<void> {
    await this.prepare();
    const newNames = this.#names.countsOf(group.map(({ host }) => host));
    try {
      await this.#connection.write([...group.flatMap(toPoints), ...newNames.points]);
    } catch (error) {
      const refused = error instanceof PastRetention ? refusedOf(group, error.points) : null;
      if (refused === null) throw error;
      for (const snapshot of refused) this.#refused.add(snapshot);
    }
    newNames.settle();
  }

  async latest(at: number, reading: Reading = {}) {
    const from = at - this.#retentionMs;
    const byTime = (await this.#query(hostsStatement({ from, to: at }), reading)).map(toHeader);
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
    return hosts.length === 0 ? [] : (await this.#query(rightStatement(window, hosts), reading)).map(toHeader);
  }

  /** Of hosts whose clocks are off, the last at or before `at` by the server's time where that is not in `newest`. */
  async #placedElsewhere(
    window: TimeWindow,
    at: number,
    newest: ReadonlyMap<string, SnapshotHeader>,
    reading: Reading,
  ): Promise<SnapshotHeader[]> {
    const rows = await this.#query(lastPlacedStatement(window, at), reading);
    const keys = rows
      .map((row) => ({ host: decodeName(String(row.host)), time: Number(row.time), placed: Number(row.placed) }))
      .filter(({ host, placed }) => placed > placedOf(newest.get(host)));
    if (keys.length === 0) return [];
    const found = await this.#connection.query(keys.map(headerStatement), reading.signal);
    return found.flat().map(toHeader);
  }

  async rows(snapshots: readonly SnapshotKey[], wanted: RowsWanted = {}, reading: Reading = {}) {
    if (wanted.above && Object.keys(wanted.above).length === 0) return [];
    const keys = new Set(snapshots.map(keyOf));
    const rows: UsageRow[] = [];
    const wasAbove = new Set<string>();
    for (const bin of binByTime(snapshots)) {
      const found = (await this.#query(rowsStatement(bin, wanted.above, wanted.withinMs), reading)).map(toUsage);
      const now = found.filter((row) => keys.has(keyOf(row)));
      const held = wanted.withinMs === undefined ? [] : await this.#rowsNow(found, now, bin, reading);
      for (const row of [...now, ...held]) rows.push(row);
      for (const row of held) wasAbove.add(nameKey(row));
    }
    return wantedOf(
      rows.filter((row) => keys.has(keyOf(row))),
      wanted,
      (row) => wasAbove.has(nameKey(row)),
    );
  }

  /** The rows of those that were found before these snapshots, and not in them. */
  async #rowsNow(
    found: readonly UsageRow[],
    now: readonly UsageRow[],
    snapshots: readonly SnapshotKey[],
    reading: Reading,
  ): Promise<UsageRow[]> {
    const known = new Set(now.map(nameKey));
    const hosts = new Set(snapshots.map(({ host }) => host));
    const before = found.filter((row) => hosts.has(row.host) && !known.has(nameKey(row)));
    const names = [...new Map(before.map((row) => [nameKey(row), { host: row.host, process: row.name }])).values()];
    const times = snapshots.map(({ time }) => time);
    const window = { from: Math.min(...times) - 1, to: Math.max(...times) };
    const rows: UsageRow[] = [];
    for (let from = 0; from < names.length; from += seriesPerQuery) {
      const statement = namesRowsStatement(names.slice(from, from + seriesPerQuery), window);
      for (const row of await this.#query(statement, reading)) rows.push(toUsage(row));
    }
    return rows;
  }

  async means(query: MeanQuery, reading: Reading = {}) {
    const filter = await this.#filterOf(query, reading);
    if (filter === null) return [];
    const [means = [], hosts = []] = await this.#queryAll(meanStatements(query, filter), reading, query);
    if (query.top === undefined) refuseTooMany(means.length);
    const hostCounts = new Map(hosts.map((row) => [row.process, Number(row.hosts)]));
    const rows = means.map((row) => toMean(row, hostCounts.get(row.process as string) ?? 0));
    return rows.sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)).slice(0, query.top);
  }

  async page(query: PageQuery, reading: Reading = {}): Promise<UsageTable> {
    const filter = await this.#filterOf(query, reading);
    if (filter === null) return toTable([]);
    const end = query.skip + query.limit;
    const [raw = []] = await this.#queryAll([detailedStatement(query, filter, end)], reading, query);
    const rows = await this.#completeLastInstant(raw.map(toUsage), filter, end, reading);
    return toTable(rows.sort(byTimeHostName).slice(query.skip, end));
  }

  /** InfluxDB gives the rows of one instant in any order: for pages that join up, the one cut off is read whole. */
  async #completeLastInstant(
    rows: UsageRow[],
    filter: PointFilter,
    end: number,
    reading: Reading,
  ): Promise<UsageRow[]> {
    const last = rows.at(-1)?.time;
    if (last === undefined || rows.length < end) return rows;
    const whole = await this.#query(detailedStatement({ from: last - 1, to: last }, filter, Infinity), reading);
    return [...rows.filter((row) => row.time < last), ...whole.map(toUsage)];
  }

  async select(query: SelectQuery, reading: Reading = {}): Promise<Selected[]> {
    const { series } = query;
    const wanted = 'metric' in series ? await this.#named(series, query, reading) : series;
    const { ours, others } = bySource(wanted);
    const samples = new Map([
      ...(await this.#samplesOfSources(others, query, reading)),
      ...(await this.#samples(ours, query, reading)),
    ]);
    return wanted.map((each) => ({ series: each, samples: samples.get(seriesKey(each)) ?? [] }));
  }

  /** The series in the window that a selector names. */
  async #named(selector: Selector, query: SelectQuery, reading: Reading): Promise<Series[]> {
    const family = familyOf(selector.metric);
    const host = exactValue(selector.matchers, 'host');
    const statement =
      family.family === 'metric'
        ? sourceSeriesStatement(selector.metric, query)
        : presentStatement(family.column, query, host);
    const [rows = []] = await this.#queryAll([statement], reading, query);
    const present =
      family.family === 'metric' ? rows.flatMap(sourcesOfRow) : rows.map((row) => seriesOfRow(row, family.column));
    return selectedOf(selector, present, query, reading.signal);
  }

  /** Of hosts and processes, by key; raw ones of a process with when it was not in a snapshot. */
  async #samples(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, Sample[]>> {
    const { stepMs, aggregate = 'mean' } = query;
    const statement = (column: StoredColumn, group: readonly Series[]) =>
      stepMs === null ? pointsStatement(column, group, query) : stepsStatement(column, group, query, stepMs, aggregate);
    const points = await this.#points(series, statement, query, reading);
    if (stepMs !== null) return new Map([...points].map(([key, found]) => [key, found.filter(isKnown)]));
    const processes = series.filter(({ labels }) => labels.process !== undefined);
    const hosts = new Set(processes.map(({ labels }) => labels.host ?? ''));
    const sweeps = await this.#sweeps([...hosts], query, reading);
    const withSweeps = new Map<string, Sample[]>(points);
    for (const each of processes) {
      const key = seriesKey(each);
      withSweeps.set(key, withExits(points.get(key) ?? [], sweeps.get(each.labels.host ?? '') ?? []));
    }
    return withSweeps;
  }

  /** Of other sources, by key: gauges as they are or in steps, counters by their rates. */
  async #samplesOfSources(
    series: readonly Series[],
    query: SelectQuery,
    reading: Reading,
  ): Promise<Map<string, Sample[]>> {
    const { stepMs, aggregate = 'mean' } = query;
    const samples = new Map<string, Sample[]>();
    const before = { from: query.from - counterReachMs, to: query.to };
    const add = (key: string, found: readonly Sample[]) => samples.set(key, [...(samples.get(key) ?? []), ...found]);
    for (let at = 0; at < series.length; at += seriesPerQuery) {
      const keys = series.slice(at, at + seriesPerQuery).map(seriesKey);
      const gauges =
        stepMs === null
          ? sourceSamplesStatement(keys, 'gauge', query)
          : sourceStepsStatement(keys, query, stepMs, aggregate);
      const statements = [gauges, sourceSamplesStatement(keys, 'counter', before)];
      const [ofGauges = [], ofCounters = []] = await this.#queryAll(statements, reading, before);
      for (const [key, points] of pointsByKey(ofGauges)) add(key, points);
      for (const [key, points] of pointsByKey(ofCounters))
        add(key, inSteps(toldOf('counter', points, query.from), query));
    }
    return samples;
  }

  /** When each host has sent a snapshot, oldest first. */
  async #sweeps(hosts: readonly string[], window: TimeWindow, reading: Reading): Promise<Map<string, number[]>> {
    const sweeps = new Map<string, number[]>();
    for (let from = 0; from < hosts.length; from += seriesPerQuery) {
      const statement = sweepsStatement(hosts.slice(from, from + seriesPerQuery), window);
      const [rows = []] = await this.#queryAll([statement], reading, window);
      for (const [host, group] of groupBy(rows, (row) => decodeName(String(row.host))))
        sweeps.set(
          host,
          group.map((row) => Number(row.time)).sort((a, b) => a - b),
        );
    }
    return sweeps;
  }

  /** `statement` asks for `value` of several series of one column. By key; a value may be unknown. */
  async #points(
    series: readonly Series[],
    statement: (column: StoredColumn, group: readonly Series[]) => string,
    window: TimeWindow,
    reading: Reading,
  ): Promise<Map<string, StoredPoint[]>> {
    const points = new Map<string, StoredPoint[]>();
    for (const { column, group } of groupsOfOneColumn(series)) {
      const [rows = []] = await this.#queryAll([statement(column, group)], reading, window);
      for (const row of rows) {
        const key = seriesKey(seriesOfRow(row, column));
        const found = points.get(key) ?? [];
        points.set(key, found);
        found.push({ time: Number(row.time), value: numberOf(row.value) });
      }
    }
    return points;
  }

  async above(selector: Selector, level: number, window: TimeWindow, reading: Reading = {}): Promise<Series[]> {
    const family = familyOf(selector.metric);
    const fits = filterTest({ matchers: selector.matchers });
    if (family.family === 'metric') return this.#sourcesAbove(selector, level, window, reading);
    const isShort = window.to - window.from <= shortMs;
    const statement = isShort ? overStatement(family.column, level, window) : peaksStatement(family.column, window);
    const [rows = []] = await this.#queryAll([statement], reading, window);
    const series = rows.filter((row) => Number(row.value) > level).map((row) => seriesOfRow(row, family.column));
    return [...(await fitting(fits, series, reading.signal)).values()];
  }

  async #sourcesAbove(selector: Selector, level: number, window: TimeWindow, reading: Reading): Promise<Series[]> {
    const fits = filterTest({ matchers: selector.matchers });
    const [rows = []] = await this.#queryAll([sourceSeriesStatement(selector.metric, window)], reading, window);
    const gauges = rows.filter((row) => row.kind !== 'counter' && Number(row.value) > level).flatMap(sourcesOfRow);
    const counters = rows.filter((row) => row.kind === 'counter').flatMap(sourcesOfRow);
    const above = await fitting(fits, gauges.slice(0, mostNamed), reading.signal);
    const growing = [...(await fitting(fits, counters, reading.signal)).values()].slice(0, mostCounters);
    const rates = await this.#samplesOfSources(growing, { ...window, series: growing, stepMs: null }, reading);
    for (const series of growing) {
      const samples = rates.get(seriesKey(series)) ?? [];
      if (samples.some((sample) => isKnown(sample) && sample.value > level)) above.set(seriesKey(series), series);
    }
    return [...above.values()];
  }

  async forecasts(query: ForecastQuery, reading: Reading = {}) {
    const [rows = []] = await this.#queryAll([forecastsStatement(query)], reading, query);
    const fits = filterTest(query);
    return rows.map(toForecast).filter(({ series }) => fits(series));
  }

  async tallies(query: ForecastQuery, reading: Reading = {}): Promise<HourTally[]> {
    const [sums = [], leads = [], last = []] = await this.#queryAll(talliesStatements(query), reading, query);
    const leadsOf = groupBy(leads, tagsOf);
    const lastOf = new Map(last.map((row) => [tagsOf(row), row]));
    const fits = filterTest(query);
    const found = sums
      .map((row) => toTally(row, leadsOf.get(tagsOf(row)) ?? [], lastOf.get(tagsOf(row))))
      .filter(({ series }) => fits(series));
    // One that was called otherwise up to 0.3.0 comes in two parts.
    return [...groupBy(found, ({ series }) => seriesKey(series)).values()].map((parts) => ({
      ...(parts.toSorted((a, b) => a.time - b.time).at(-1) as HourTally),
      tally: addTallies(parts.map(({ tally }) => tally)),
    }));
  }

  /** InfluxDB does so by itself. */
  async expire(): Promise<void> {}

  /** Writes a point and asks for it: a token may have been revoked, or the database dropped. */
  async ping(): Promise<void> {
    await this.prepare();
    await this.#connection.write([triedPoint()]);
    if ((await this.#connection.query([triedStatement])).flat().length === 0)
      throw new MonitorError('unavailable', 'InfluxDB does not give back what was just written');
  }

  async close(): Promise<void> {
    await this.#commit.exclusive(async () => undefined);
  }

  /**
   * Which points a query is about; null: none. Nearly always a host has one address in the whole window, and then
   * its name says all, also of points of before they carried the address.
   */
  async #filterOf(
    { ip, hosts, process, ...window }: UsageFilter & TimeWindow,
    reading: Reading,
  ): Promise<PointFilter | null> {
    const rest = process === undefined ? {} : { process };
    if (hosts?.length === 0) return null;
    await untilAborted(this.prepare(), reading.signal);
    if (ip === undefined) return { ...rest, ...(hosts && { hosts }) };
    const [having = [], all = []] = await this.#queryAll(addressStatements(window, ip, hosts), reading, window);
    const [carried, total] = [snapshotCounts(having), snapshotCounts(all)];
    const partly = new Set(
      [...carried].filter(([name, count]) => count < (total.get(name) ?? 0)).map(([name]) => name),
    );
    const names = [...carried.keys()];
    if (names.length === 0) return null;
    return {
      ...rest,
      ip,
      hosts: names.filter((name) => !partly.has(name)).map(decodeName),
      partly: names.filter((name) => partly.has(name)).map(decodeName),
    };
  }

  async #query(statement: string, reading: Reading): Promise<Row[]> {
    const [rows = []] = await this.#queryAll([statement], reading);
    return rows;
  }

  /** @param window which the statements look at; absent: a short one */
  async #queryAll(
    statements: readonly string[],
    { signal, lane }: Reading,
    window: TimeWindow = { from: 0, to: 0 },
  ): Promise<Row[][]> {
    const ask = async () => {
      await untilAborted(this.prepare(), signal);
      return this.#connection.query(statements, signal);
    };
    if (lane === 'present') return ask();
    const isHeavy = lane === 'background' || window.to - window.from > heavyMs;
    return this.#lanes[isHeavy ? 'heavy' : 'light'].run(ask, signal, lane === 'background');
  }
}

/** The same of rows that are about one series. */
function tagsOf({ host, process, metric, series }: Row): string {
  return JSON.stringify([host ?? '', process ?? '', metric, series ?? '']);
}

/** The oldest that make up so many points: a retention cuts by time. Null: they do not. */
function refusedOf(group: readonly Snapshot[], points: number | null): Snapshot[] | null {
  if (group.length === 1) return [...group];
  const byTime = group.toSorted((a, b) => a.time - b.time);
  let [count, sum] = [0, 0];
  for (; count < byTime.length && sum < (points ?? 0); count++) sum += (byTime[count]?.processes.name.length ?? 0) + 1;
  const isCut = count > 0 && sum === points && byTime[count]?.time !== byTime[count - 1]?.time;
  return isCut ? byTime.slice(0, count) : null;
}

function placedOf(header: SnapshotHeader | undefined): number {
  return header === undefined ? Number.NEGATIVE_INFINITY : placedAt(header);
}

/** Of each host; its series stand in more than one measurement. */
function snapshotCounts(rows: readonly Row[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { host, snapshots } of rows) counts.set(String(host), (counts.get(String(host)) ?? 0) + Number(snapshots));
  return counts;
}

function ignorePastRetention(error: unknown): void {
  if (!(error instanceof PastRetention)) throw error;
}

/** Made once: there are many rows. */
const meanFields = meanColumnIds.map((id) => [id, `mean_${snakeCase(id)}`] as const);

function toMean(row: Row, hosts: number): MeanRow {
  const mean: Record<string, unknown> = {
    name: decodeName(String(row.process)),
    hosts,
    snapshots: Number(row.snapshots),
  };
  for (const [id, field] of meanFields) mean[id] = numberOf(row[field]);
  return mean as MeanRow;
}

function seriesOfRow(row: Row, column: StoredColumn): Series {
  const host = decodeName(String(row.host));
  return isUsageMetric(column)
    ? processSeries(column, host, decodeName(String(row.process)))
    : hostSeries(column, host);
}

/** None where the tag is none that we have written. */
function sourcesOfRow(row: Row): Series[] {
  return [parseSeries(decodeName(String(row.series)))].filter((series) => series !== null);
}

/** Oldest first. */
function pointsByKey(rows: readonly Row[]): Map<string, Point[]> {
  const byKey = groupBy(rows, (row) => decodeName(String(row.series)));
  return new Map(
    [...byKey].map(([key, group]) => {
      const points = group.map((row) => ({ time: Number(row.time), value: Number(row.value) }));
      return [key, points.sort((a, b) => a.time - b.time)];
    }),
  );
}

function* groupsOfOneColumn(series: readonly Series[]): Iterable<{ column: StoredColumn; group: Series[] }> {
  for (const [metric, group] of groupBy(series, (each) => each.metric)) {
    const family = familyOf(metric);
    if (family.family === 'metric') continue;
    for (let from = 0; from < group.length; from += seriesPerQuery)
      yield { column: family.column, group: group.slice(from, from + seriesPerQuery) };
  }
}

function keyOf({ host, time }: SnapshotKey): string {
  return JSON.stringify([host, time]);
}
