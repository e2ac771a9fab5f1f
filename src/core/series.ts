import {
  type HostMetric,
  hostMetrics,
  processColumn,
  snakeCase,
  type UsageMetric,
  unitOf,
  usageMetrics,
} from './metric.ts';
import { quoted } from './quoted-text.ts';

export type Labels = Readonly<Record<string, string>>;

/** One metric of one thing over time: its name and what it is told apart by. No label is empty. */
export interface Series {
  metric: string;
  labels: Labels;
}

/** What a name means: a column of the catalogue, or a metric of another source. */
export type Family =
  | { family: 'process'; column: UsageMetric }
  | { family: 'host'; column: HostMetric }
  | { family: 'metric' };

const families = new Map<string, Family>([
  ...usageMetrics.map((column) => [`process_${snakeCase(column)}`, { family: 'process', column }] as const),
  ...hostMetrics.map((column) => [snakeCase(column), { family: 'host', column }] as const),
]);

/** The names that the catalogue has taken. */
export const builtInMetrics: readonly string[] = [...families.keys()];

export function familyOf(metric: string): Family {
  return families.get(metric) ?? { family: 'metric' };
}

/** Not of hosts and their processes: whatever name PUT /v1/metrics has brought. */
export function isOfOtherSource(metric: string): boolean {
  return !families.has(metric);
}

/** `process_cpu_max`: of a column of processes. */
export function processMetric(column: UsageMetric): string {
  return `process_${snakeCase(column)}`;
}

export function processSeries(column: UsageMetric, host: string, process: string): Series {
  return { metric: processMetric(column), labels: { host, process } };
}

/** `system.load1` is `system_load1`. */
export function hostMetric(column: HostMetric): string {
  return snakeCase(column);
}

export function hostSeries(column: HostMetric, host: string): Series {
  return { metric: hostMetric(column), labels: { host } };
}

/** Keys of series that come again and again as the same object. */
const keptKeys = new WeakMap<Series, string>();

/** The same series, whose key is not made anew each time. */
export function withKeptKey(series: Series): Series {
  keptKeys.set(series, keyOf(series));
  return series;
}

/** The name of a series, the same for the same labels in any order: `process_cpu{host="web-01",process="java"}`. */
export function seriesKey(series: Series): string {
  return keptKeys.get(series) ?? keyOf(series);
}

function keyOf({ metric, labels }: Series): string {
  const names = Object.keys(labels).sort();
  return `${metric}{${names.map((name) => `${name}=${quoted(labels[name] as string)}`).join(',')}}`;
}

/** What people and the older answers call it: the host, the process, and the metric as thresholds name it. */
export interface Subject {
  /** Of a series without one its instance, its source, or the agent it came from; '' where it has none of these. */
  host: string;
  process: string | null;
  metric: string;
}

export function subjectOf({ metric, labels }: Series): Subject {
  const family = familyOf(metric);
  const host = labels.host ?? (labels.instance && withoutPort(labels.instance)) ?? labels.source ?? labels.client ?? '';
  if (family.family === 'process')
    return {
      host,
      process: labels.process ?? '',
      metric: processColumn(family.column).threshold?.metric ?? family.column,
    };
  return { host, process: null, metric: family.family === 'host' ? family.column : metric };
}

/** Of an `instance`: `web-01:9256` is web-01, `[::1]:9256` ::1. */
export function withoutPort(instance: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\](?::\d+)?|([^:]+)(?::\d+)?)$/.exec(instance) ?? [];
  return bracketed ?? plain ?? instance;
}

/** The unit of the values of a series, by its name. */
export function unitOfSeries(metric: string) {
  const family = familyOf(metric);
  if (family.family === 'process') return processColumn(family.column).unit;
  return family.family === 'host' ? unitOf(family.column) : 'none';
}
