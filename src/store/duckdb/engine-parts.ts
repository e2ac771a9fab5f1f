import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { dayOf } from '../../core/clock.ts';
import { NameBudget, seriesPerDay } from '../name-budget.ts';
import { DamagedParts, type DamagedPartsOptions } from './damaged-parts.ts';
import { Dictionary } from './dictionary.ts';
import { decoded } from './encoded-text.ts';
import { NameTexts } from './name-texts.ts';
import { askForVerification, isDamage } from './open-database.ts';
import { PartFiles } from './part-files.ts';
import { loadParts, Parts } from './parts.ts';
import type { ThreadData } from './protocol.ts';
import { Readers } from './readers.ts';
import { RecentTimes, rememberedTimes } from './recent-times.ts';
import { RowCounts } from './row-counts.ts';
import { SeriesWriter } from './series-writer.ts';
import { SnapshotWriter } from './snapshot-writer.ts';

/** What the engine is made of: its connections, and what a write needs to know of what is stored. */
export interface EngineParts {
  instance: DuckDBInstance;
  /** Appends only. */
  connection: DuckDBConnection;
  /** What a write looks up, and deletions. Whoever uses it has the turn in the chain of commits. */
  maintenance: DuckDBConnection;
  readers: Readers;
  /** What is closed. */
  parts: Parts;
  files: PartFiles;
  damagedParts: DamagedParts;
  hosts: Dictionary;
  names: NameTexts;
  recent: RecentTimes;
  series: NameTexts;
  counts: RowCounts;
  writer: SnapshotWriter;
  seriesWriter: SeriesWriter;
}

type Query = (sql: string) => ReturnType<Readers['query']>;

/** Of process names it reads the next id alone. */
export async function loadEngineParts(
  instance: DuckDBInstance,
  options: ThreadData,
  exclusive: DamagedPartsOptions['exclusive'],
): Promise<EngineParts> {
  const connection = await instance.connect();
  // It only appends: there is nothing to optimise, and a fifth of a flush is planning.
  await connection.run('PRAGMA disable_optimizer');
  const transaction = { begin: await connection.prepare('BEGIN'), commit: await connection.prepare('COMMIT') };
  const maintenance = await instance.connect();
  const files = new PartFiles(options.path);
  const known = await loadParts(maintenance);
  const parts = new Parts(files, known);
  const { stamp } = options;
  const damagedParts = new DamagedParts({ parts, files, connection: maintenance, exclusive, stamp });
  if (!options.isReadOnly) {
    await damagedParts.sortOut(known);
    await damagedParts.look(parts.all(), 'size');
  }
  const onDamage = async (error: unknown) => {
    if ((await damagedParts.lookAfter(error)) > 0) return 'again';
    if (isDamage(error)) await askForVerification(options.path);
    return 'damaged';
  };
  const readers = await Readers.connect(instance, { parts, onDamage });
  const query: Query = (sql) => readers.query(sql, { lane: 'present' });
  const hosts = await loadHosts(query);
  // Ids of what is closed are not given again, even where the texts have been lost.
  hosts.startAfter(Math.max(-1, ...known.parts.map(({ lastHost }) => lastHost)));
  const [recent, counts] = [await loadRecentTimes(query), await loadRowCounts(query, parts)];
  const budget = await loadNameBudget(query, options);
  const nextName = await nextId(query, 'SELECT id FROM name UNION ALL SELECT last_name FROM part');
  return {
    instance,
    connection,
    maintenance,
    readers,
    parts,
    files,
    damagedParts,
    hosts,
    recent,
    counts,
    names: new NameTexts(readers, 'name'),
    series: new NameTexts(readers, 'series'),
    writer: new SnapshotWriter({
      connection,
      transaction,
      lookups: maintenance,
      hosts,
      budget,
      recent,
      counts,
      nextName,
    }),
    seriesWriter: await loadSeriesWriter(connection, maintenance, query, options),
  };
}

async function loadHosts(query: Query): Promise<Dictionary> {
  const rows = await query('SELECT id, encode(text) AS text FROM host');
  return new Dictionary(rows.map(({ id, text }) => [id as number, decoded(text)]));
}

async function loadRecentTimes(query: Query): Promise<RecentTimes> {
  const recent = new RecentTimes();
  const times = await query(`
    SELECT host, list(time::DOUBLE)::VARCHAR AS times FROM (
      SELECT host, time FROM snapshot
      QUALIFY row_number() OVER (PARTITION BY host ORDER BY time DESC) <= ${rememberedTimes}) GROUP BY host`);
  for (const row of times) recent.load(row.host as number, JSON.parse(row.times as string));
  return recent;
}

async function loadRowCounts(query: Query, parts: Parts): Promise<RowCounts> {
  const counts = new RowCounts();
  const closed = parts.all().filter(({ family }) => family === 'usage');
  const rows = closed.reduce((sum, part) => sum + part.rows, 0);
  const hours = await query(`
    SELECT min(time)::DOUBLE AS time, count(*)::DOUBLE AS snapshots,
      (${rows} + (SELECT count(*) FROM usage)) / (SELECT count(*) FROM snapshot)::DOUBLE AS rows
    FROM snapshot GROUP BY time // 3600000`);
  for (const { time, snapshots, rows } of hours as Record<string, number>[])
    counts.add(time as number, (snapshots as number) * (rows as number), snapshots);
  return counts;
}

/** What of it has been spent today. */
async function loadNameBudget(query: Query, { newNamesPerDay, now }: ThreadData): Promise<NameBudget<number>> {
  const budget = new NameBudget<number>(() => newNamesPerDay);
  const spent = await query(
    `SELECT host, count(*)::DOUBLE AS names FROM name WHERE day = ${dayOf(now)} AND host IS NOT NULL GROUP BY host`,
  );
  for (const { host, names } of spent) budget.spend(host as number, names as number, now);
  return budget;
}

async function loadSeriesWriter(
  connection: DuckDBConnection,
  lookups: DuckDBConnection,
  query: Query,
  options: ThreadData,
): Promise<SeriesWriter> {
  const { now } = options;
  const budget = new NameBudget<string>(seriesPerDay(options));
  const spent = await query(
    `SELECT encode(owner) AS owner, count(*)::DOUBLE AS series FROM series WHERE day = ${dayOf(now)} GROUP BY owner`,
  );
  for (const { owner, series } of spent) budget.spend(decoded(owner), series as number, now);
  // Rows of a file that was damaged may have ids of series that are lost: they are not given again.
  const used = ['sample', 'forecast', 'tally'].map((table) => `SELECT max(series) FROM ${table}`);
  const nextSeries = await nextId(query, ['SELECT id FROM series', ...used].join(' UNION ALL '));
  return new SeriesWriter({ connection, lookups, budget, nextSeries });
}

/** @param ids a query for those that are given */
async function nextId(query: Query, ids: string): Promise<number> {
  const [next] = await query(`SELECT coalesce(max(id), -1) + 1 AS id FROM (${ids})`);
  return Number(next?.id ?? 0);
}
