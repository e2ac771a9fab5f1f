import { formatDuration, parseDuration } from './duration.ts';
import { MonitorError } from './error.ts';
import { type HostMetric, hostMetrics, type UsageMetric } from './snapshot.ts';

export type ThresholdMetric = 'cpu' | 'memory' | HostMetric;

/** The line: when a metric is RED, and when it stops being so. */
export interface Threshold {
  metric: ThresholdMetric;
  /** RED above this, in the metric's unit (percent of one core for `cpu`). */
  red: number;
  /** RED ends at or below this; equal to `red` unless told otherwise. */
  clear: number;
  /** How long a run must last before it is RED. */
  forMs: number;
  /** Of a process name: its largest instance, or all of them together. */
  of: 'largest' | 'group';
  /** What 100 % of `cpu` is: one core, or all usable cores of the host. */
  basis: 'core' | 'host';
}

const defaultRed = 80;
const processMetrics = ['cpu', 'memory'] as const;
const thresholdMetrics: readonly string[] = [...processMetrics, ...hostMetrics];

export const defaultThresholds: readonly Threshold[] = (['cpu', 'memory', 'system.cpu', 'system.memory'] as const).map(
  (metric) => makeThreshold(metric, {}),
);

/**
 * Reads `METRIC=RED` or `METRIC:red=80,clear=75,for=30s,of=group,basis=host`.
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
  const { metric, red, clear, forMs, of, basis } = threshold;
  const options = [
    `red=${red}`,
    clear === red ? '' : `clear=${clear}`,
    forMs === 0 ? '' : `for=${formatDuration(forMs)}`,
    of === 'largest' ? '' : `of=${of}`,
    basis === 'core' ? '' : `basis=${basis}`,
  ];
  return `${metric}:${options.filter(Boolean).join(',')}`;
}

/** The stored column of a process threshold. */
export function usageColumn(threshold: Threshold): UsageMetric {
  if (threshold.metric === 'cpu') return threshold.of === 'group' ? 'cpu' : 'cpuMax';
  return threshold.of === 'group' ? 'memory' : 'memoryMax';
}

export function isProcessThreshold(threshold: Threshold): boolean {
  return (processMetrics as readonly string[]).includes(threshold.metric);
}

/** What a level of this threshold has to be multiplied by to be in the stored unit on a host. */
export function levelFactor(threshold: Threshold, cores: number | null): number {
  return threshold.metric === 'cpu' && threshold.basis === 'host' ? (cores ?? 1) : 1;
}

type Fields = Partial<Record<'red' | 'clear' | 'for' | 'of' | 'basis', string>>;

function parseFields(rest: string, text: string): Fields {
  const fields: Fields = {};
  for (const part of rest.split(',')) {
    const [key = '', value = ''] = part.split('=').map((side) => side.trim());
    if (!['red', 'clear', 'for', 'of', 'basis'].includes(key) || value === '') {
      throw new MonitorError(
        'invalid',
        `threshold '${text}': cannot read '${part}'; the options are red=80, clear=75, for=30s, of=largest|group, basis=core|host`,
      );
    }
    fields[key as keyof Fields] = value;
  }
  return fields;
}

function makeThreshold(metric: ThresholdMetric, fields: Fields): Threshold {
  const red = level(fields.red, defaultRed, metric, 'red');
  const clear = level(fields.clear, red, metric, 'clear');
  if (clear > red) {
    throw new MonitorError(
      'invalid',
      `threshold ${metric}: clear ${clear} is above red ${red}; it must be at most red`,
    );
  }
  return {
    metric,
    red,
    clear,
    forMs: fields.for === undefined || fields.for === '0' ? 0 : parseDuration(fields.for, `threshold ${metric}: for`),
    of: oneOf(fields.of, ['largest', 'group'], metric, 'of'),
    basis: oneOf(fields.basis, ['core', 'host'], metric, 'basis'),
  };
}

function level(text: string | undefined, fallback: number, metric: string, what: string): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new MonitorError('invalid', `threshold ${metric}: ${what} '${text}' is not a number of 0 or more`);
  }
  return value;
}

function oneOf<T extends string>(text: string | undefined, allowed: readonly [T, T], metric: string, what: string): T {
  const found = allowed.find((value) => value === (text ?? allowed[0]));
  if (found === undefined) {
    throw new MonitorError('invalid', `threshold ${metric}: ${what} '${text}' must be ${allowed.join(' or ')}`);
  }
  return found;
}
