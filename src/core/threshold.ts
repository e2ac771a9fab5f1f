import { formatDuration, parseDuration } from './duration.ts';
import { MonitorError } from './error.ts';
import {
  columnOfQuantity,
  type HostMetric,
  hostColumn,
  hostMetrics,
  type ProcessQuantity,
  processColumn,
  processQuantities,
  type UsageMetric,
  unitOf,
} from './metric.ts';

export type ThresholdMetric = ProcessQuantity | HostMetric;

/** The line: when a metric is RED, and when it stops being so. */
export interface Threshold {
  metric: ThresholdMetric;
  /** RED above this, in the metric's unit (percent of one core for `cpu`). */
  red: number;
  /** RED ends when the value has been at or under this for `holdMs`. */
  clear: number;
  holdMs: number;
  /** How long a run must last before it is RED. */
  forMs: number;
  /** Of a process name: its largest instance, or all of them together. */
  of: 'largest' | 'group';
  /** What 100 % of `cpu` is: one core, or all usable cores of the host. */
  basis: 'core' | 'host';
}

const defaultRed = 80;
const defaultHoldMs = 30_000;
/** Each evaluation looks back so far. */
const longestHoldMs = 3_600_000;
const thresholdMetrics: readonly string[] = [...processQuantities, ...hostMetrics];

export const defaultThresholds: readonly Threshold[] = (['cpu', 'memory', 'system.cpu', 'system.memory'] as const).map(
  (metric) => makeThreshold(metric, {}),
);

/**
 * Reads `METRIC=RED` or `METRIC:red=80,clear=75,for=30s,hold=1m,of=group,basis=host`.
 * @throws MonitorError `invalid` that names the part it could not read.
 */
export function parseThreshold(text: string): Threshold {
  const [, metric = '', separator, rest = ''] = /^\s*([a-z][\w.]*)([=:])(.*)$/i.exec(text) ?? [];
  if (!thresholdMetrics.includes(metric)) {
    throw new MonitorError(
      'invalid',
      `threshold '${text}' names no known metric; write one of ${thresholdMetrics.join(', ')} then =80 or :red=80,clear=75,for=30s`,
    );
  }
  const fields = separator === '=' ? { red: rest } : parseFields(rest, text);
  return makeThreshold(metric as ThresholdMetric, fields);
}

/** @throws MonitorError `invalid` for what is no metric a threshold can be on. */
export function parseMetric(text: string): ThresholdMetric {
  if (!thresholdMetrics.includes(text))
    throw new MonitorError('invalid', `there is no metric '${text}'; write one of ${thresholdMetrics.join(', ')}`);
  return text as ThresholdMetric;
}

/** Thresholds by metric: those given replace the defaults of the same metric. */
export function withDefaults(given: readonly Threshold[]): Threshold[] {
  const byMetric = new Map([...defaultThresholds, ...given].map((threshold) => [threshold.metric, threshold]));
  return [...byMetric.values()];
}

/** The threshold as parseThreshold reads it. */
export function formatThreshold(threshold: Threshold): string {
  const { metric, red, clear, forMs, holdMs, of, basis } = threshold;
  const options = [
    `red=${red}`,
    clear === defaultClear(red) ? '' : `clear=${clear}`,
    forMs === 0 ? '' : `for=${formatDuration(forMs)}`,
    holdMs === defaultHoldMs ? '' : `hold=${holdMs === 0 ? '0' : formatDuration(holdMs)}`,
    of === ofsFor(metric)[0] ? '' : `of=${of}`,
    basis === 'core' ? '' : `basis=${basis}`,
  ];
  return `${metric}:${options.filter(Boolean).join(',')}`;
}

/** The stored column of a process threshold. */
export function usageColumn(threshold: Pick<Threshold, 'metric' | 'of'>): UsageMetric {
  return columnOfQuantity(threshold.metric, threshold.of) as UsageMetric;
}

export function isProcessThreshold(threshold: Threshold): boolean {
  return isProcessQuantity(threshold.metric);
}

/** What a level of this threshold has to be multiplied by to be in the stored unit on a host. */
export function levelFactor(threshold: Threshold, cores: number | null): number {
  return threshold.metric === 'cpu' && threshold.basis === 'host' ? (cores ?? 1) : 1;
}

const fieldNames = ['red', 'clear', 'for', 'hold', 'of', 'basis'] as const;
type Fields = Partial<Record<(typeof fieldNames)[number], string>>;

function parseFields(rest: string, text: string): Fields {
  const fields: Fields = {};
  for (const part of rest.split(',')) {
    const [key = '', value = ''] = part.split('=').map((side) => side.trim());
    if (!(fieldNames as readonly string[]).includes(key) || value === '') {
      throw new MonitorError(
        'invalid',
        `threshold '${text}': cannot read '${part}'; the options are red=80, clear=75, for=30s, hold=30s, of=largest|group, basis=core|host`,
      );
    }
    fields[key as keyof Fields] = value;
  }
  return fields;
}

function makeThreshold(metric: ThresholdMetric, fields: Fields): Threshold {
  const red = level(fields.red, defaultRedOf(metric), metric, 'red');
  const clear = level(fields.clear, defaultClear(red), metric, 'clear');
  if (clear > red) {
    throw new MonitorError(
      'invalid',
      `threshold ${metric}: clear ${clear} is above red ${red}; it must be at most red`,
    );
  }
  const of = oneOf(fields.of, ofsFor(metric), metric, 'of');
  const basis = oneOf(fields.basis, ['core', 'host'], metric, 'basis');
  refuseUnreachable({ metric, red, of, basis });
  const holdMs = span(fields.hold, defaultHoldMs, metric, 'hold');
  if (holdMs > longestHoldMs)
    throw new MonitorError('invalid', `threshold ${metric}: hold '${fields.hold}' is longer than 1h`);
  return { metric, red, clear, forMs: span(fields.for, 0, metric, 'for'), holdMs, of, basis };
}

/** A little under the line, or a value that stays at it would end RED and begin it again by turns. */
function defaultClear(red: number): number {
  return Math.max(red - 5, red * 0.9);
}

/** What a threshold on it can be of, the usual one first. */
function ofsFor(metric: ThresholdMetric): readonly Threshold['of'][] {
  if (!isProcessQuantity(metric)) return ['largest', 'group'];
  return (['largest', 'group'] as const).filter((of) => columnOfQuantity(metric, of) !== undefined);
}

function isProcessQuantity(metric: string): boolean {
  return (processQuantities as readonly string[]).includes(metric);
}

/** There is a usual line for percentages alone. */
function defaultRedOf(metric: ThresholdMetric): number | undefined {
  return ['percent', 'percentOfCore'].includes(unitOf(metric)) ? defaultRed : undefined;
}

/** Sums may be over 100 %: memory that processes share counts for each of them. */
function refuseUnreachable(threshold: Pick<Threshold, 'metric' | 'red' | 'of' | 'basis'>): void {
  const { metric, red, of, basis } = threshold;
  const isProcess = isProcessQuantity(metric);
  const { ceiling } = isProcess ? processColumn(usageColumn(threshold)) : hostColumn(metric as HostMetric);
  const isShare = ceiling === 100 || (isProcess && of === 'largest' && metric === 'cpu' && basis === 'host');
  if (isShare && red > 100)
    throw new MonitorError(
      'invalid',
      `threshold ${metric}: ${red} is never reached: ${metric} is percent of the host and ends at 100; write a red under 100, or 100 for no alarm`,
    );
}

function span(text: string | undefined, fallback: number, metric: string, what: string): number {
  if (text === undefined) return fallback;
  return text === '0' ? 0 : parseDuration(text, `threshold ${metric}: ${what}`);
}

function level(text: string | undefined, fallback: number | undefined, metric: string, what: string): number {
  if (text === undefined && fallback !== undefined) return fallback;
  if (text === undefined)
    throw new MonitorError('invalid', `threshold ${metric}: there is no usual line for it; say ${what}=`);
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new MonitorError('invalid', `threshold ${metric}: ${what} '${text}' is not a number of 0 or more`);
  }
  return value;
}

function oneOf<T extends string>(text: string | undefined, allowed: readonly T[], metric: string, what: string): T {
  const found = allowed.find((value) => value === (text ?? allowed[0]));
  if (found === undefined) {
    throw new MonitorError('invalid', `threshold ${metric}: ${what} '${text}' must be ${allowed.join(' or ')}`);
  }
  return found;
}
