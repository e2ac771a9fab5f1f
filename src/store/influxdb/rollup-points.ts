import { Point } from '@influxdata/influxdb-client';
import { sketched } from '../../core/bucket.ts';
import { snakeCase, type UsageMetric } from '../../core/metric.ts';
import { ValueSummary } from '../../core/value-summary.ts';
import { groupBy } from '../../platform/group-by.ts';
import type { Row } from './connection.ts';
import { MeanSums } from './mean-sums.ts';
import { decodeName, encodeName } from './name-codec.ts';

/**
 * Roll-ups: what the values of all processes of one host come to in ten minutes or an hour. Measurement
 * `process_rollup`, tags host, length and part: where it is more than fits into a text of InfluxDB it is in parts.
 * A roll-up of `time` is of what came after it, up to `time` + length: as windows are.
 */
export const rollupLengths = { '10m': 600_000, '1h': 3_600_000 } as const;
export type RollupLength = keyof typeof rollupLengths;

/** Which one. */
export interface RollupKey {
  host: string;
  length: RollupLength;
  time: number;
}

/** What a roll-up has of a column, by process. */
export type Summaries = Map<string, ValueSummary>;

export interface Rollup extends RollupKey {
  /** Of how many snapshots: where there are more by now it is out of date. */
  snapshots: number;
  columns: ReadonlyMap<UsageMetric, Summaries>;
  /** Of every process; null: not known, of ten minutes that have been rolled up without. */
  sums: ReadonlyMap<string, MeanSums> | null;
}

/** A text of InfluxDB 1.x has at most 64 KiB, and a point all of its texts in one line. */
const mostTextBytes = 40_000;

interface Part {
  processes: string[];
  /** By field. */
  texts: Map<string, string[]>;
}

/** All of them belong into one write: a part of another writing is not told from these. */
export function toRollupPoints({ host, length, time, snapshots, columns, sums }: Rollup): Point[] {
  const parts = partsOf(columns, sums);
  return parts.map(({ processes, texts }, index) => {
    const point = new Point('process_rollup')
      .tag('host', encodeName(host))
      .tag('length', length)
      .tag('part', `${index}`);
    point.timestamp(time).intField('snapshots', snapshots).intField('parts', parts.length);
    point.intField('series', processes.length).stringField('processes', JSON.stringify(processes));
    for (const [field, own] of texts) point.stringField(field, `[${own.join(',')}]`);
    // Whoever knows nothing of sums may write the rest anew: then these are of fewer snapshots.
    if (sums !== null) point.intField('sums_of', snapshots);
    return point;
  });
}

/** At least one. */
function partsOf(columns: Rollup['columns'], sums: Rollup['sums']): Part[] {
  const parts: Part[] = [];
  let [part, room] = [emptyPart(), mostTextBytes];
  for (const process of namesOf(columns, sums)) {
    const texts = sketched.map((column): [string, string] => [
      snakeCase(column),
      textOf(columns.get(column)?.get(process)),
    ]);
    if (sums !== null) texts.push(['sums', (sums.get(process) ?? new MeanSums()).toText()]);
    const bytes = Math.max(Buffer.byteLength(JSON.stringify(process)), ...texts.map(([, text]) => text.length)) + 1;
    if (bytes > room && part.processes.length > 0) {
      parts.push(part);
      [part, room] = [emptyPart(), mostTextBytes];
    }
    room -= bytes;
    part.processes.push(process);
    for (const [field, text] of texts) part.texts.get(field)?.push(text);
  }
  return [...parts, part];
}

function namesOf(columns: Rollup['columns'], sums: Rollup['sums']): Set<string> {
  const names = new Set(sums?.keys());
  for (const summaries of columns.values()) for (const name of summaries.keys()) names.add(name);
  return names;
}

function emptyPart(): Part {
  return { processes: [], texts: new Map([...sketched.map(snakeCase), 'sums'].map((field) => [field, []])) };
}

/** `[count,min,max,mean,squares,bucket,count,...]`, buckets in order, each as how far it is from the one before; none: `[]`. */
function textOf(summary: ValueSummary | undefined): string {
  const moments = summary?.moments;
  if (summary === undefined || moments == null) return '[]';
  const { count, min, max, mean, squares } = moments;
  const numbers = [count, min, max, mean, squares];
  let before = 0;
  for (const [bucket, own] of [...summary.buckets].sort(([a], [b]) => a - b)) {
    numbers.push(bucket - before, own);
    before = bucket;
  }
  return JSON.stringify(numbers);
}

/** Of one part: of each process that has values what they come to. */
export function* summariesOf(row: Row, column: UsageMetric): Generator<[process: string, ValueSummary]> {
  const processes = JSON.parse(String(row.processes)) as string[];
  const texts = JSON.parse(String(row[snakeCase(column)])) as number[][];
  for (const [index, process] of processes.entries()) {
    const [count, min, max, mean, squares, ...pairs] = texts[index] ?? [];
    if (count === undefined) continue;
    const moments = { count, min, max, mean, squares } as NonNullable<ValueSummary['moments']>;
    yield [process, new ValueSummary(moments, bucketsOf(pairs))];
  }
}

/** Of one part: what the means of each process are made of. */
export function* sumsOf(row: Row): Generator<[process: string, MeanSums]> {
  const processes = JSON.parse(String(row.processes)) as string[];
  const sums = JSON.parse(String(row.sums)) as (number | number[])[][];
  for (const [index, process] of processes.entries()) yield [process, MeanSums.of(sums[index] ?? [])];
}

function bucketsOf(pairs: readonly number[]): Map<number, number> {
  const buckets = new Map<number, number>();
  let bucket = 0;
  for (let index = 0; index < pairs.length; index += 2) {
    bucket += pairs[index] as number;
    buckets.set(bucket, pairs[index + 1] as number);
  }
  return buckets;
}

/** What is there of a roll-up, without what it says. */
export interface RollupMark extends RollupKey {
  snapshots: number;
  series: number;
  /** Whether means can be made of it. */
  hasSums: boolean;
}

/** Of parts, with their tags, by roll-up: those of whole ones, as they were last written. */
export function wholeRollups(rows: readonly Row[]): { key: RollupKey; parts: Row[] }[] {
  const found: { key: RollupKey; parts: Row[] }[] = [];
  for (const all of groupBy(rows, (row) => `${row.time} ${row.length} ${row.host}`).values()) {
    const first = all.find(({ part }) => part === '0');
    if (first === undefined) continue;
    // Others are of an earlier writing, which had more of them.
    const parts = all.filter((row) => Number(row.part) < Number(first.parts) && row.snapshots === first.snapshots);
    const key = {
      host: decodeName(String(first.host)),
      length: first.length as RollupLength,
      time: Number(first.time),
    };
    if (parts.length === first.parts) found.push({ key, parts });
  }
  return found;
}

export function markOf({ key, parts }: { key: RollupKey; parts: readonly Row[] }): RollupMark {
  const series = parts.reduce((sum, row) => sum + Number(row.series), 0);
  const hasSums = parts.every((row) => row.sums_of === row.snapshots);
  return { ...key, snapshots: Number(parts[0]?.snapshots), series, hasSums };
}
