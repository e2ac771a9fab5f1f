import { formatDuration, parseDuration } from './duration.ts';
import { MonitorError } from './error.ts';
import {
  columnOfQuantity,
  type HostMetric,
  hostColumn,
  hostColumns,
  hostMetrics,
  processColumn,
  processQuantities,
  type UsageMetric,
  usageMetrics,
} from './metric.ts';
import { formatSelector, readSelector, type Selector } from './selector.ts';
import {
  builtInMetrics,
  familyOf,
  hostMetric,
  isOfOtherSource,
  processMetric,
  subjectOf,
  unitOfSeries,
} from './series.ts';

/** The line: when series are RED, and when they stop being so. */
export interface Threshold {
  /** The series it is on. */
  selector: Selector;
  /** What people call it: `cpu`, `system.load1`, or the name of a metric of another source. */
  metric: string;
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
/** The words for metrics of the catalogue, in thresholds and in alarms. */
const words: readonly string[] = [...processQuantities, ...hostMetrics];
const options = ['red', 'clear', 'for', 'hold', 'of', 'basis'] as const;
type Fields = Partial<Record<(typeof options)[number], string>>;

export const defaultThresholds: readonly Threshold[] = ['cpu', 'memory', 'system.cpu', 'system.memory'].map((metric) =>
  parseThreshold(`${metric}=${defaultRed}`),
);

/**
 * Reads `METRIC=RED` or `METRIC:red=80,clear=75,for=30s,hold=1m,of=group,basis=host`, where METRIC is a word such as
 * `cpu` or `system.disk`, or a selector such as `process_cpu_max{host="web-01"}` or `queue_length{}`.
 * @throws MonitorError `invalid` that names the part it could not read.
 */
export function parseThreshold(text: string): Threshold {
  const { target, rest } = splitThreshold(text);
  if (rest.startsWith('=') && rest.includes(',')) {
    const meant = `${text.slice(0, text.length - rest.length)}:red${rest}`;
    throw new MonitorError('invalid', `threshold '${text}': before options stands a colon; write ${meant}`);
  }
  const fields = rest.startsWith('=') ? { red: rest.slice(1) } : parseFields(rest.slice(1), text);
  return makeThreshold(target, fields, text);
}

/** A word of the catalogue, or the selector that stands there. */
type Target = { word: string } | { selector: Selector };

/** What is before the `=` or `:`, and all from there on. */
function splitThreshold(text: string): { target: Target; rest: string } {
  if (!text.includes('{')) {
    const [whole = '', word = ''] = /^\s*([a-z][\w.]*)\s*(?=[=:])/i.exec(text) ?? [];
    const rest = text.slice(whole.length);
    if (words.includes(word)) return { target: { word }, rest };
    if (builtInMetrics.includes(word)) return { target: { selector: { metric: word, matchers: [] } }, rest };
    throw unknownMetric(text);
  }
  const { selector, end } = readSelector(text);
  if (!/[=:]/.test(text[end] ?? ''))
    throw new MonitorError('invalid', `threshold '${text}': after the selector write =80 or :red=80,clear=75,for=30s`);
  return { target: { selector }, rest: text.slice(end) };
}

function unknownMetric(text: string): MonitorError {
  return new MonitorError(
    'invalid',
    `threshold '${text}' names no known metric; write one of ${words.join(', ')}, or a selector with braces such as process_cpu_max{host="web-01"} or queue_length{}, then =80 or :red=80,clear=75,for=30s`,
  );
}

/**
 * The names of the series that a word or a name means: `cpu` is `process_cpu` and `process_cpu_max`.
 * @throws MonitorError `invalid` for what can be no name
 */
export function metricsNamed(text: string): string[] {
  const columns = usageMetrics.filter((id) => processColumn(id).threshold?.metric === text);
  if (Object.hasOwn(hostColumns, text)) return [hostMetric(text as HostMetric)];
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(text))
    throw new MonitorError(
      'invalid',
      `there is no metric '${text}'; write one of ${words.join(', ')}, or the name of a series`,
    );
  return [...columns.map(processMetric), text];
}

/** Thresholds without labels by metric: those given replace the defaults of the same metric. Then those with labels. */
export function withDefaults(given: readonly Threshold[]): Threshold[] {
  const isForAll = ({ selector }: Threshold) => selector.matchers.length === 0;
  const byMetric = new Map(
    [...defaultThresholds, ...given.filter(isForAll)].map((each) => [quantityOf(each.selector.metric), each]),
  );
  return [...byMetric.values(), ...given.filter((threshold) => !isForAll(threshold))];
}

/** The threshold as parseThreshold reads it. */
export function formatThreshold(threshold: Threshold): string {
  const { metric, selector, red, clear, forMs, holdMs, of, basis } = threshold;
  const isWord = selector.matchers.length === 0 && !isOfOtherSource(selector.metric);
  const texts = [
    `red=${red}`,
    clear === defaultClear(red) ? '' : `clear=${clear}`,
    forMs === 0 ? '' : `for=${formatDuration(forMs)}`,
    holdMs === defaultHoldMs ? '' : `hold=${holdMs === 0 ? '0' : formatDuration(holdMs)}`,
    !isWord || of === ofsFor(metric)[0] ? '' : `of=${of}`,
    basis === 'core' ? '' : `basis=${basis}`,
  ];
  const name = isWord ? metric : formatSelector(selector) + (selector.matchers.length === 0 ? '{}' : '');
  return `${name}:${texts.filter(Boolean).join(',')}`;
}

/** What thresholds compete about: `process_cpu` and `process_cpu_max` have one line together. */
export function quantityOf(metric: string): string {
  const { family } = familyOf(metric);
  return family === 'metric' ? metric : `${family} ${subjectOf({ metric, labels: {} }).metric}`;
}

export function isProcessThreshold({ selector }: Threshold): boolean {
  return familyOf(selector.metric).family === 'process';
}

/** The stored column of a threshold on processes. */
export function usageColumn({ selector }: Threshold): UsageMetric {
  return (familyOf(selector.metric) as { column: UsageMetric }).column;
}

/** What a level of this threshold has to be multiplied by to be in the stored unit on a host. */
export function levelFactor(threshold: Threshold, cores: number | null): number {
  return threshold.metric === 'cpu' && threshold.basis === 'host' ? (cores ?? 1) : 1;
}

function parseFields(rest: string, text: string): Fields {
  const fields: Fields = {};
  for (const part of rest.split(',')) {
    const [key = '', value = ''] = part.split('=').map((side) => side.trim());
    if (!(options as readonly string[]).includes(key) || value === '') {
      throw new MonitorError(
        'invalid',
        `threshold '${text}': cannot read '${part}'; the options are red=80, clear=75, for=30s, hold=30s, of=largest|group, basis=core|host`,
      );
    }
    fields[key as keyof Fields] = value;
  }
  return fields;
}

function makeThreshold(target: Target, fields: Fields, text: string): Threshold {
  const { metric, selector, of } =
    'word' in target ? ofWord(target.word, fields.of) : ofSelector(target.selector, fields.of);
  const red = level(fields.red, defaultRedOf(selector.metric), text, 'red');
  const clear = level(fields.clear, defaultClear(red), text, 'clear');
  if (clear > red)
    throw new MonitorError(
      'invalid',
      `threshold ${metric}: clear ${clear} is above red ${red}; it must be at most red`,
    );
  const basis = oneOf(fields.basis, ['core', 'host'], metric, 'basis');
  const holdMs = span(fields.hold, defaultHoldMs, metric, 'hold');
  if (holdMs > longestHoldMs)
    throw new MonitorError('invalid', `threshold ${metric}: hold '${fields.hold}' is longer than 1h`);
  if (fields.basis !== undefined && isOfOtherSource(selector.metric))
    throw new MonitorError('invalid', `threshold ${metric}: only cpu can have basis=; leave it out`);
  const threshold = { selector, metric, red, clear, forMs: span(fields.for, 0, metric, 'for'), holdMs, of, basis };
  refuseUnreachable(threshold);
  return threshold;
}

/** What a threshold is on. */
type ThresholdTarget = Pick<Threshold, 'metric' | 'selector' | 'of'>;

/** `cpu` is of the largest instance unless `of=group` says otherwise. */
function ofWord(metric: string, given: string | undefined): ThresholdTarget {
  const of = oneOf(given, ofsFor(metric), metric, 'of');
  const column = columnOfQuantity(metric, of);
  const name = column === undefined ? hostMetric(metric as HostMetric) : processMetric(column as UsageMetric);
  return { metric, of, selector: { metric: name, matchers: [] } };
}

/** A selector says by its name of what it is. */
function ofSelector(selector: Selector, given: string | undefined): ThresholdTarget {
  if (given !== undefined)
    throw new MonitorError(
      'invalid',
      `threshold ${formatSelector(selector)}: a selector cannot have of=; write process_cpu_max for the largest instance, process_cpu for all of the name`,
    );
  const family = familyOf(selector.metric);
  const quantity = family.family === 'process' ? processColumn(family.column).threshold : undefined;
  if (family.family === 'process' && quantity === undefined)
    throw new MonitorError(
      'invalid',
      `threshold ${formatSelector(selector)}: ${family.column} cannot have a threshold`,
    );
  return { selector, metric: subjectOf({ metric: selector.metric, labels: {} }).metric, of: quantity?.of ?? 'largest' };
}

/** A little under the line, or a value that stays at it would end RED and begin it again by turns. */
function defaultClear(red: number): number {
  return Math.max(red - 5, red * 0.9);
}

/** What a threshold on it can be of, the usual one first. */
function ofsFor(metric: string): readonly Threshold['of'][] {
  if (!isQuantity(metric)) return ['largest', 'group'];
  return (['largest', 'group'] as const).filter((of) => columnOfQuantity(metric, of) !== undefined);
}

function isQuantity(metric: string): boolean {
  return (processQuantities as readonly string[]).includes(metric);
}

/** Percentages alone have a default. */
function defaultRedOf(metric: string): number | undefined {
  return ['percent', 'percentOfCore'].includes(unitOfSeries(metric)) ? defaultRed : undefined;
}

/** Sums may be over 100 %: memory that processes share counts for each of them. */
function refuseUnreachable({ selector, metric, red, of, basis }: Threshold): void {
  const family = familyOf(selector.metric);
  if (family.family === 'metric') return;
  const { ceiling } = family.family === 'process' ? processColumn(family.column) : hostColumn(family.column);
  const isOfHost = family.family === 'process' && of === 'largest' && metric === 'cpu' && basis === 'host';
  if ((ceiling === 100 || isOfHost) && red > 100)
    throw new MonitorError(
      'invalid',
      `threshold ${metric}: ${red} is never reached: ${metric} is percent of the host and ends at 100; write a red under 100, or 100 for no alarm`,
    );
}

function span(text: string | undefined, fallback: number, metric: string, what: string): number {
  if (text === undefined) return fallback;
  return text === '0' ? 0 : parseDuration(text, `threshold ${metric}: ${what}`);
}

function level(text: string | undefined, fallback: number | undefined, threshold: string, what: string): number {
  if (text === undefined && fallback !== undefined) return fallback;
  if (text === undefined)
    throw new MonitorError('invalid', `threshold '${threshold}': it has no default; write ${what}=`);
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new MonitorError('invalid', `threshold '${threshold}': ${what} '${text}' is not a number of 0 or more`);
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
