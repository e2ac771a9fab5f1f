import type { DuckDBConnection } from '@duckdb/node-api';
import {
  type HostMetric,
  hostColumn,
  type ProcessColumnId,
  processColumn,
  processColumnIds,
  snakeCase,
  usageMetrics,
} from '../../core/metric.ts';
import { tallyCounts } from '../../core/tally.ts';

/**
 * The version of the tables below as far as they do not come from the catalogue. Whoever changes one raises this above
 * `schemaVersion`, and says in `structuralChanges` how a file comes from the version before. A new column of processes
 * is not in `hour` of an older file, nor in its parts, and has to be given there as not known.
 */
const structureVersion = 6;

/** A file says which it has, one of before there were versions by not saying it. A new column is a new version. */
export const schemaVersion = Math.max(structureVersion, ...processColumnIds.map((id) => processColumn(id).since));

/** Stored percentages are thousandths: integers cost DuckDB a third less CPU than floats to take in. */
export function scaleOf(id: ProcessColumnId): number {
  return 10 ** processColumn(id).decimals;
}

/** The narrowest integer that holds every value; 2^32 - 1 and what is negative stand for null on the way. */
export function sqlType(id: ProcessColumnId): 'INTEGER' | 'UINTEGER' | 'BIGINT' {
  const most = processColumn(id).most * scaleOf(id);
  return most < 2 ** 31 ? 'INTEGER' : most < 2 ** 32 - 1 ? 'UINTEGER' : 'BIGINT';
}

/** As a file of that version has it. */
function usageTable(version: number): string {
  const columns = processColumnIds
    .filter((id) => processColumn(id).since <= version)
    .map((id) => `${snakeCase(id)} ${sqlType(id)}`);
  return `CREATE TABLE IF NOT EXISTS usage (time BIGINT, host INTEGER, name INTEGER, ${columns.join(', ')})`;
}

interface Table {
  name: string;
  sql: string;
}

function table(name: string, columns: string): Table {
  return { name, sql: `CREATE TABLE IF NOT EXISTS ${name} (${columns})` };
}

/** What is kept of the values of a column in a roll-up: see rollup-sql.ts. */
export const figures = ['known', 'sum', 'squares', 'least', 'most', 'last'] as const;
export type Figure = (typeof figures)[number];

function figureType(id: ProcessColumnId, figure: Figure): string {
  if (figure === 'known') return 'INTEGER';
  if (figure === 'squares') return 'DOUBLE';
  return figure === 'sum' ? 'BIGINT' : sqlType(id);
}

function rollupColumns(version: number): string {
  const columns = usageMetrics
    .filter((id) => processColumn(id).since <= version)
    .flatMap((id) => figures.map((figure) => `${snakeCase(id)}_${figure} ${figureType(id, figure)}`));
  return `time BIGINT, host INTEGER, name INTEGER, snapshots INTEGER, last_at BIGINT, ${columns.join(', ')}`;
}

const forecastColumns = `value DOUBLE, threshold DOUBLE, probability DOUBLE, amber_since BIGINT, notify_since BIGINT,
  muted BOOLEAN, eta DOUBLE, eta_low DOUBLE, eta_high DOUBLE, reason VARCHAR`;
const tallyColumns = `muted BOOLEAN, ${tallyCounts.map((count) => `"${count}" DOUBLE`).join(', ')}, leads VARCHAR`;
/** Up to version 4 a series was a host, a process name (null: the host itself) and what a threshold calls its metric. */
const seriesBefore = 'time BIGINT, host INTEGER, name INTEGER, metric VARCHAR';

/**
 * The tables of a file of that version.
 *
 * Host and process names are ids into dictionary tables, rows are in time order and have no key: a DuckDB primary key
 * costs seven times the space. (host, time) is kept unique by RecentTimes. A name knows which host brought it along,
 * and on which day. `snapshot` is kept narrow, since a commit costs by the column: `header` is what rarely changes of
 * a host, as JSON, which repeats and so costs next to nothing; `metrics` is a JSON array of the host metrics, each at its
 * `place` of the catalogue; `placed` is `placedAt` of core/host-clock.ts; `received` is when one that is marked as from
 * the future came, and null for all others.
 *
 * `series` are those of other sources, whose values are in `sample`, and all that have forecasts: `text` is the key,
 * `metric` and `host` are parts of it, `kind` is of another source's, `owner` and `day` who brought it along when.
 * `tally`: how right the forecasts of an hour were; `leads` are milliseconds, with blanks between.
 *
 * `part` are the files of what is closed: see part-files.ts. `hour` and `bucket` are the roll-ups of the hours that are,
 * until their day is: of a column's values in an hour, which are not all the same, `count` are in that bucket.
 */
export function tablesOf(version: number): Table[] {
  const usage = { name: 'usage', sql: usageTable(version) };
  if (version < 3)
    return [
      table('host', 'id INTEGER, text VARCHAR'),
      table('name', 'id INTEGER, text VARCHAR'),
      table('about', 'id INTEGER, text VARCHAR'),
      table('snapshot', 'host INTEGER, time BIGINT, about INTEGER, metrics VARCHAR, placed BIGINT'),
      usage,
      table('forecast', `${seriesBefore}, ${forecastColumns}`),
    ];
  const tables = [
    table('host', 'id INTEGER, text VARCHAR'),
    table('name', 'id INTEGER, text VARCHAR, host INTEGER, day INTEGER'),
    table(
      'snapshot',
      'host INTEGER, time BIGINT, ip VARCHAR, header VARCHAR, metrics VARCHAR, placed BIGINT, received BIGINT',
    ),
    usage,
  ];
  if (version < 5)
    return [
      ...tables,
      table('forecast', `${seriesBefore}, ${forecastColumns}`),
      table('tally', `${seriesBefore}, ${tallyColumns}`),
    ];
  const withSeries = [
    ...tables,
    table('series', 'id INTEGER, text VARCHAR, metric VARCHAR, host VARCHAR, kind VARCHAR, owner VARCHAR, day INTEGER'),
    table('sample', 'time BIGINT, series INTEGER, value DOUBLE'),
    table('forecast', `time BIGINT, series INTEGER, ${forecastColumns}`),
    table('tally', `time BIGINT, series INTEGER, ${tallyColumns}`),
  ];
  if (version < 6) return withSeries;
  return [
    ...withSeries,
    table(
      'part',
      'id INTEGER, family VARCHAR, since BIGINT, until BIGINT, first_host INTEGER, last_host INTEGER, last_name INTEGER, rows BIGINT, bytes BIGINT, crc BIGINT, is_out BOOLEAN',
    ),
    table('hour', rollupColumns(version)),
    table('bucket', 'time BIGINT, host INTEGER, name INTEGER, quantity TINYINT, bucket SMALLINT, count INTEGER'),
  ];
}

/** One row: the version, and how often a write was tried. */
export const versionTable = 'CREATE TABLE IF NOT EXISTS version (version INTEGER, tried BIGINT)';

/** Of snapshots that came without it: from 0.1.0, or out of a damaged file. */
export const placeUnplaced = () =>
  `UPDATE snapshot SET placed = time - coalesce(${metricSql('collector.clockSkewSeconds')}, 0)::BIGINT * 1000 WHERE placed IS NULL`;

type Change = string | ((connection: DuckDBConnection) => Promise<void>);

/** What brings a file from a version to the next; all that are needed run in one transaction. */
export function migrationFrom(version: number): Change[] {
  const added = processColumnIds.filter((id) => processColumn(id).since === version + 1 && version > 0);
  return [
    ...(structuralChanges[version] ?? []),
    ...added.map((id) => `ALTER TABLE usage ADD COLUMN ${snakeCase(id)} ${sqlType(id)}`),
  ];
}

const structuralChanges: Readonly<Record<number, readonly Change[]>> = {
  1: ['ALTER TABLE snapshot ADD COLUMN IF NOT EXISTS placed BIGINT', placeUnplaced()],
  // A text for each combination of what a host says of itself was one that anybody could fill the memory with.
  2: [
    `CREATE TABLE snapshot_3 AS SELECT snapshot.host, snapshot.time, json_extract_string(about.text, '$.ip') AS ip,
       about.text AS header, metrics, placed,
       CASE WHEN json_extract_string(about.text, '$.isFromFuture') = 'true' THEN snapshot.time END AS received
     FROM snapshot LEFT JOIN about ON about.id = snapshot.about`,
    'DROP TABLE snapshot',
    'ALTER TABLE snapshot_3 RENAME TO snapshot',
    'DROP TABLE about',
    'ALTER TABLE name ADD COLUMN host INTEGER',
    'ALTER TABLE name ADD COLUMN day INTEGER',
    `CREATE TABLE IF NOT EXISTS tally (${seriesBefore}, ${tallyColumns})`,
  ],
  // A series of any source has a place now.
  4: [
    ...tablesOf(5)
      .filter(({ name }) => name === 'series' || name === 'sample')
      .map(({ sql }) => sql),
    // Whoever only packs snapshots loads no driver for it.
    async (connection) => (await import('./name-series.ts')).nameSeries(connection),
    ...['forecast', 'tally'].flatMap((name) => [
      `CREATE TABLE ${name}_5 AS SELECT time, named.series, ${name}.* EXCLUDE (time, host, name, metric) FROM ${name}
       JOIN named ON named.host = ${name}.host AND named.name IS NOT DISTINCT FROM ${name}.name AND named.metric = ${name}.metric`,
      `DROP TABLE ${name}`,
      `ALTER TABLE ${name}_5 RENAME TO ${name}`,
    ]),
    'DROP TABLE named',
  ],
  // What is closed leaves the file.
  5: tablesOf(6)
    .filter(({ name }) => ['part', 'hour', 'bucket'].includes(name))
    .map(({ sql }) => sql),
};

/** The SQL of one host metric; DuckDB reads the JSON array as a list, which counts from 1. */
export function metricSql(metric: HostMetric): string {
  return `(metrics::DOUBLE[])[${hostColumn(metric).place + 1}]`;
}
