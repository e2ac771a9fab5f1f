import { MonitorError } from '../core/error.ts';
import {
  hostColumn,
  hostMetrics,
  maxPercent,
  type ProcessColumnId,
  processColumn,
  processColumnIds,
  roundTo,
} from '../core/metric.ts';
import {
  emptyColumns,
  type ProcessColumns,
  type ProcessUsage,
  pushUsage,
  roundPercent,
  type Snapshot,
  unknownUsage,
} from '../core/snapshot.ts';
import { canonicalIp } from '../platform/ip.ts';
import type { ResourcesBody } from './resources.ts';
import type { ProcessColumnsBody, ProcessUsageBody, SnapshotBody } from './snapshot.ts';

/** InfluxDB counts nanoseconds in 64 bits and ends in 2262. */
export const latestTime = Date.UTC(2200, 0, 1);
const defaultIntervalSeconds = 10;
/** The older clients do not say how often they send. */
const resourcesIntervalMs = 60_000;

/**
 * A validated body as the snapshot it means, with the defaults filled in.
 * @param connectionIp the address it came from, for a body without one
 * @throws MonitorError `invalid` for what a schema cannot say: a day that does not exist, an address that
 * is none, columns of unequal length, a name that stands twice.
 */
export function toSnapshot(body: SnapshotBody, connectionIp: string | null): Snapshot {
  return {
    host: body.host.toWellFormed(),
    ip: body.ip === undefined ? connectionIp : ipOf(body.ip),
    time: timeOf(body.time),
    intervalMs: Math.max(1, Math.round((body.interval ?? defaultIntervalSeconds) * 1000)),
    bootId: body.bootId?.toWellFormed() ?? null,
    cores: body.cores ?? null,
    memoryBytes: body.memoryBytes ?? null,
    limitedBy: (body.limitedBy as Snapshot['limitedBy']) ?? 'host',
    metrics: metricsOf(body),
    processes: columnsOf(body.processes),
  };
}

/**
 * The older clients' body as a snapshot: instances of one name are grouped, and the whole PUT has the
 * time of its first entry.
 */
export function resourcesToSnapshot(body: ResourcesBody): Snapshot {
  const groups = new Map<string, { cpu: number[]; mem: number[] }>();
  let time = Infinity;
  for (const entry of body.data) {
    const name = entry.process_name === null || entry.process_name === '' ? 'null' : entry.process_name.toWellFormed();
    const group = groups.get(name) ?? { cpu: [], mem: [] };
    groups.set(name, group);
    group[entry.type_data as 'cpu' | 'mem'].push(entry.value);
    time = Math.min(time, Math.round(entry.timestamp * 1000));
  }
  const processes = emptyColumns();
  for (const [name, group] of groups) pushUsage(processes, groupUsage(name, group.cpu, group.mem));
  return {
    host: body.ipaddress.toWellFormed(),
    ip: canonicalIp(body.ipaddress),
    time,
    intervalMs: resourcesIntervalMs,
    bootId: null,
    cores: null,
    memoryBytes: null,
    limitedBy: 'host',
    metrics: {},
    processes,
  };
}

function groupUsage(name: string, cpu: readonly number[], memory: readonly number[]): ProcessUsage {
  const sum = (values: readonly number[]) => {
    const total = roundPercent(values.reduce((sum, value) => sum + value, 0));
    if (total > maxPercent)
      throw new MonitorError('invalid', `the values of '${name}' add up to more than ${maxPercent} %`);
    return values.length === 0 ? null : total;
  };
  const max = (values: readonly number[]) => (values.length === 0 ? null : roundPercent(Math.max(...values)));
  return {
    ...unknownUsage(name),
    count: Math.max(cpu.length, memory.length),
    cpu: sum(cpu),
    cpuMax: max(cpu),
    memory: sum(memory),
    memoryMax: max(memory),
  };
}

/** @throws MonitorError `invalid` for a day that does not exist, or one that nothing can keep */
export function timeOf(text: string): number {
  const time = Date.parse(text);
  if (!(time >= 0 && time < latestTime)) {
    throw new MonitorError('invalid', `body/time '${text}' is not an instant between 1970 and 2200`);
  }
  return time;
}

function ipOf(text: string): string {
  const ip = canonicalIp(text);
  if (ip === null) throw new MonitorError('invalid', `body/ip '${text}' is not an IPv4 or IPv6 address`);
  return ip;
}

function metricsOf(body: SnapshotBody): Snapshot['metrics'] {
  const metrics: Snapshot['metrics'] = {};
  for (const metric of hostMetrics) {
    if (hostColumn(metric).by === 'server') continue;
    const [group, field] = metric.split('.') as ['system' | 'collector', string];
    const value = (body[group] as Record<string, number | null> | undefined)?.[field];
    if (value !== null && value !== undefined) metrics[metric] = value;
  }
  return metrics;
}

function columnsOf(body: ProcessUsageBody[] | ProcessColumnsBody): ProcessColumns {
  const columns = completeColumns(Array.isArray(body) ? rowsToColumns(body) : body);
  for (const [index, name] of columns.name.entries()) {
    if (!name.isWellFormed()) columns.name[index] = name.toWellFormed();
  }
  refuseRepeatedNames(columns.name);
  for (const id of processColumnIds) {
    const { decimals } = processColumn(id);
    // What has none is a whole number by its schema.
    if (decimals === 0) continue;
    const values: (number | null)[] = columns[id];
    for (const [index, value] of values.entries()) if (value !== null) values[index] = roundTo(decimals, value);
  }
  return columns;
}

/** Column by column. One that no row has is absent. */
function rowsToColumns(rows: readonly ProcessUsageBody[]): ProcessColumnsBody {
  const columns: Record<string, unknown[]> = { name: rows.map((row) => row.name), cpu: [], memory: [] };
  for (const id of processColumnIds) {
    const values = columnOf(rows, id, processColumn(id).insteadOfMissing as ProcessColumnId | undefined);
    if (values !== null) columns[id] = values;
  }
  return columns as unknown as ProcessColumnsBody;
}

function columnOf(
  rows: readonly ProcessUsageBody[],
  id: ProcessColumnId,
  instead: ProcessColumnId | undefined,
): unknown[] | null {
  const values: unknown[] = new Array(rows.length);
  let isThere = false;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as ProcessUsageBody;
    const value = row[id];
    if (value !== undefined) isThere = true;
    values[i] = value === undefined ? missing(id, instead && row[instead]) : value;
  }
  return isThere ? values : null;
}

function missing(id: string, instead: unknown): unknown {
  return instead ?? (id === 'count' ? 1 : null);
}

function completeColumns(body: ProcessColumnsBody): ProcessColumns {
  const rows = body.name.length;
  const columns: Record<string, unknown[]> = { name: body.name };
  for (const id of processColumnIds) {
    const instead = processColumn(id).insteadOfMissing as keyof ProcessColumnsBody | undefined;
    const values = body[id] ?? (instead && body[instead]) ?? new Array(rows).fill(missing(id, null));
    if (values.length !== rows)
      throw new MonitorError(
        'invalid',
        `body/processes/${id} has ${values.length} entries and name has ${rows}; all columns must be equally long`,
      );
    columns[id] = values;
  }
  return columns as unknown as ProcessColumns;
}

function refuseRepeatedNames(names: readonly string[]): void {
  const seen = new Set(names);
  if (seen.size === names.length) return;
  const repeated = names.find((name) => !seen.delete(name));
  throw new MonitorError(
    'invalid',
    `body/processes has ${JSON.stringify(repeated)} twice; send one entry per name, with its instances summed and counted`,
  );
}
