import { sketched } from '../../core/bucket.ts';
import { dayMs } from '../../core/clock.ts';
import {
  type HostMetric,
  hostMetrics,
  isUsageMetric,
  processColumn,
  processColumnIds,
  snakeCase,
  type UsageMetric,
  usageMetrics,
} from '../../core/metric.ts';
import type { Cluster } from './cluster.ts';
import type { Column } from './row-binary.ts';

/**
 * Tables: `process`, a row for each process name and snapshot; `snapshot`, a row for each snapshot, written after its
 * processes: where it is, they are. `process_hour` has roll-ups of them. `sample` is of other sources. All are by what names a row, and a row that is there
 * twice is one: the later.
 */
export interface Table {
  name: string;
  columns: readonly Column[];
  /** What names a row. */
  key: readonly string[];
  /** Rows of the same ten minutes lie beside each other: what is asked about some minutes is not looked for in all of a day. */
  isByBin?: true;
  /** The column that parts are by: a day each; absent: it is small, and not forgotten. */
  time?: string;
  /** Kept as long as roll-ups of an hour are. */
  isRolled?: true;
  /** Of the key: rows that have it in common are on one shard. */
  shardBy: string;
  /** Of rows that are there twice the one that is highest in this stays; absent: the one that came last. */
  newest?: string;
}

const text = (name: string): Column => ({ name, type: 'String' });
const repeated = (name: string): Column => ({ name, type: 'String', isRepeated: true });
const whole = (name: string): Column => ({ name, type: 'Int64' });
const maybe = (column: Column): Column => ({ ...column, isNullable: true });

/** Of rows that lie beside each other. */
export const binMs = 600_000;
/** How many of them have been since 1970. */
const bin: Column = { name: 'bin', type: 'Int64', made: `intDiv(time, ${binMs})` };

/** Values are stored as whole numbers: so many of them make one. */
export function scaleOf(id: (typeof processColumnIds)[number]): number {
  return 10 ** processColumn(id).decimals;
}

/** `system.load1` -> `system_load1` */
export function metricColumn(metric: HostMetric): string {
  return metric.replace('.', '_');
}

export const processTable: Table = {
  name: 'process',
  shardBy: 'host',
  columns: [
    repeated('host'),
    repeated('name'),
    whole('time'),
    maybe(repeated('ip')),
    ...processColumnIds.map((id) => maybe(whole(snakeCase(id)))),
    bin,
  ],
  key: ['host', 'name', 'time'],
  time: 'time',
  isByBin: true,
};

export const snapshotTable: Table = {
  name: 'snapshot',
  shardBy: 'host',
  columns: [
    repeated('host'),
    whole('time'),
    // Where it stands in the time of the server.
    whole('placed'),
    { name: 'is_from_future', type: 'UInt8' },
    maybe(repeated('ip')),
    whole('interval_ms'),
    maybe(repeated('boot_id')),
    maybe({ name: 'cores', type: 'Float64' }),
    maybe(whole('memory_total_bytes')),
    repeated('limited_by'),
    ...hostMetrics.map((metric) => maybe({ name: metricColumn(metric), type: 'Float64' })),
    // How many rows of processes it has: where nobody has said so it is not known whether they are there once.
    maybe(whole('process_rows')),
    bin,
  ],
  key: ['host', 'time'],
  time: 'time',
  isByBin: true,
};

/** Which snapshot of a host is placed last: of all that are kept nobody has to look for it. Written after them. */
export const newestTable: Table = {
  name: 'newest_snapshot',
  shardBy: 'host',
  columns: [repeated('host'), whole('placed'), whole('time')],
  key: ['host'],
  newest: 'placed',
};

/** `spread`: the sum of squared differences from the mean. Of values that nobody knows `least` and `most` are null. */
export const figures = ['known', 'sum', 'spread', 'least', 'most'] as const;
export type Figure = (typeof figures)[number];

/** `cpu`, `sum` -> `cpu_sum` */
export function figureColumn(id: UsageMetric, figure: Figure): string {
  return `${snakeCase(id)}_${figure}`;
}

/** The buckets of core/bucket.ts that values are in, ascending, and how many are in each. */
export function bucketColumns(id: UsageMetric): { buckets: string; counts: string } {
  return { buckets: `${snakeCase(id)}_buckets`, counts: `${snakeCase(id)}_counts` };
}

const figureTypes = { known: 'Int64', sum: 'Float64', spread: 'Float64', least: 'Int64', most: 'Int64' } as const;
const hourFigures = usageMetrics.flatMap((id) =>
  figures.map((figure): Column => {
    const column: Column = { name: figureColumn(id, figure), type: figureTypes[figure] };
    return figure === 'least' || figure === 'most' ? maybe(column) : column;
  }),
);
const hourBuckets = sketched.flatMap((id): Column[] => {
  const { buckets, counts } = bucketColumns(id);
  return [
    { name: buckets, type: 'Array(Int32)' },
    { name: counts, type: 'Array(UInt64)' },
  ];
});

/**
 * What the rows of a process name on a host come to in the hour that begins at `time`, by ClickHouse itself. Of an hour
 * that something came late for the one that is of the most snapshots of the host stays.
 */
export const hourTable: Table = {
  name: 'process_hour',
  shardBy: 'host',
  columns: [
    repeated('host'),
    repeated('name'),
    whole('time'),
    whole('of_snapshots'),
    whole('snapshots'),
    ...hourFigures,
    ...hourBuckets,
  ],
  key: ['host', 'name', 'time'],
  time: 'time',
  isRolled: true,
  newest: 'of_snapshots',
};

/** That the hour of a host has been rolled up: of how many snapshots, and into how many rows. Written after them. */
export const rolledTable: Table = {
  name: 'rolled_hour',
  shardBy: 'host',
  columns: [repeated('host'), whole('time'), whole('of_snapshots'), whole('names')],
  key: ['host', 'time'],
  time: 'time',
  isRolled: true,
  newest: 'of_snapshots',
};

export const sampleTable: Table = {
  name: 'sample',
  shardBy: 'series',
  // A value that is null: the series has ended.
  columns: [
    repeated('name'),
    repeated('series'),
    repeated('owner'),
    repeated('kind'),
    whole('time'),
    maybe({ name: 'value', type: 'Float64' }),
  ],
  key: ['name', 'series', 'kind', 'time'],
  time: 'time',
};

const ofSeries = [repeated('series'), whole('time'), repeated('metric'), repeated('host'), text('body')];
export const forecastTable: Table = {
  name: 'forecast',
  shardBy: 'series',
  columns: ofSeries,
  key: ['series', 'time'],
  time: 'time',
};
export const tallyTable: Table = {
  name: 'accuracy',
  shardBy: 'series',
  columns: ofSeries,
  key: ['series', 'time'],
  time: 'time',
};

/** How many names, or series, an owner has brought along in a day, so far. */
export const newNamesTable: Table = {
  name: 'new_names',
  shardBy: 'owner',
  columns: [repeated('kind'), repeated('owner'), whole('time'), whole('names')],
  key: ['kind', 'owner', 'time'],
  time: 'time',
};

/** What servers over this database agree on. */
export const agreementTable: Table = {
  name: 'agreement',
  shardBy: 'key',
  columns: [repeated('kind'), text('key'), whole('time'), text('body')],
  key: ['kind', 'key'],
  newest: 'time',
};

/** That something could be written. */
export const triedTable: Table = {
  name: 'tried',
  shardBy: 'place',
  columns: [whole('place'), whole('time')],
  key: ['place'],
};

export const tables = [
  processTable,
  snapshotTable,
  newestTable,
  hourTable,
  rolledTable,
  sampleTable,
  forecastTable,
  tallyTable,
  newNamesTable,
  agreementTable,
  triedTable,
];

/** Where a column of processes or of hosts is, and what it makes of a value. */
export function placeOf(column: UsageMetric | HostMetric): {
  table: string;
  column: string;
  scale: number;
  labels: readonly string[];
} {
  if (isUsageMetric(column))
    return { table: 'process', column: snakeCase(column), scale: scaleOf(column), labels: ['host', 'name'] };
  return { table: 'snapshot', column: metricColumn(column), scale: 1, labels: ['host'] };
}

/** How tables are made. */
export interface Making {
  /** Of ClickHouse, year times 100 and month: texts that repeat, and how columns are packed, came later. */
  version: number;
  database: string;
  /** Null: of one server. */
  cluster: Cluster | null;
}

/** Where the rows of a table are that are on this server: over several shards the table itself has none. */
export function storedIn({ name }: Pick<Table, 'name'>, cluster: Cluster | null): string {
  return cluster !== null && cluster.shards > 1 ? `${name}_shard` : name;
}

/** ` ON CLUSTER name` */
export function onCluster(cluster: Cluster | null): string {
  return cluster === null ? '' : ` ON CLUSTER \`${cluster.name}\``;
}

/** One statement, or over several shards two. */
export function createSql(table: Table, { version, database, cluster }: Making): string[] {
  const { name, columns, key, time, newest, shardBy, isByBin } = table;
  const stored = storedIn(table, cluster);
  const partition = time === undefined ? '' : `PARTITION BY intDiv(${time}, ${dayMs})`;
  // Replicas of it find each other there in their Keeper.
  const path = cluster === null ? [] : [`'/clickhouse/tables/{shard}/${database}/${name}', '{replica}'`];
  const engine = `${cluster === null ? '' : 'Replicated'}ReplacingMergeTree(${[...path, ...(newest ? [newest] : [])].join(', ')})`;
  const made = columns.map((column) => columnSql(column, version)).join(', ');
  const order = isByBin ? [bin.name, ...key] : key;
  const rows = `CREATE TABLE IF NOT EXISTS ${stored}${onCluster(cluster)} (${made}) ENGINE = ${engine} ${partition} ORDER BY (${order.join(', ')})`;
  if (cluster === null || stored === name) return [rows];
  const distributed = `Distributed(\`${cluster.name}\`, ${database}, ${stored}, sipHash64(${shardBy}))`;
  return [
    rows,
    `CREATE TABLE IF NOT EXISTS ${name}${onCluster(cluster)} AS ${database}.${stored} ENGINE = ${distributed}`,
  ];
}

/** From then on both are stable. */
export const packedSince = 2003;

export function columnSql({ name, type, isNullable, isRepeated, made }: Column, version: number): string {
  const plain = isNullable ? `Nullable(${type})` : type;
  const origin = made === undefined ? '' : ` DEFAULT ${made}`;
  if (version < packedSince) return `${name} ${plain}${origin}`;
  const stored = isRepeated ? `LowCardinality(${plain})` : plain;
  // At its first level a column that is 1 throughout still takes a quarter of a byte a row.
  return `${name} ${stored}${origin} ${name === 'time' ? 'CODEC(DoubleDelta, ZSTD(3))' : 'CODEC(ZSTD(3))'}`;
}
