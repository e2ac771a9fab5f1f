import { parseDuration } from '../core/duration.ts';
import { MonitorError } from '../core/error.ts';
import { hostColumn, hostMetrics, processColumnIds } from '../core/metric.ts';
import { parseSelector } from '../core/selector.ts';
import { didYouMean } from '../platform/nearest.ts';
import { type Figure, hostFacts, type MappedColumn, type Mapping } from './mapping.ts';

/** Of the largest instance nobody but a collector knows, and what is told of the collector is its own. */
const columns: readonly MappedColumn[] = [
  ...processColumnIds.filter((id) => !['cpuMax', 'memory', 'memoryMax', 'pid'].includes(id)),
  ...hostMetrics.filter((id) => id.startsWith('system.') && hostColumn(id).by === 'collector'),
  ...hostFacts,
];
const keys = ['name', 'host', 'process', 'step', 'columns'];
const hows = ['sum', 'max', 'count', 'rate'] as const;

/**
 * A mapping as the configuration has it: maps of texts and lists of them.
 * @throws MonitorError `invalid` that says which part of it is wrong
 */
export function parseMapping(given: unknown): Mapping {
  const map = mapOf(given, 'a mapping');
  const name = textOf(map.name ?? '', 'name of a mapping');
  if (name === '') throw new MonitorError('invalid', "a mapping needs a name, and 'columns'");
  try {
    refuseUnknown(map, keys);
    const process = map.process === undefined ? null : textsOf(map.process, 'process');
    const figures = Object.entries(mapOf(map.columns, 'columns')).map(
      ([column, figure]) => [columnOf(column, process !== null), figureOf(figure, column)] as const,
    );
    return {
      name,
      host: textsOf(map.host ?? 'instance', 'host'),
      process,
      stepMs: map.step === undefined ? null : parseDuration(textOf(map.step, 'step'), 'step'),
      columns: new Map(figures),
    };
  } catch (error) {
    throw error instanceof MonitorError
      ? new MonitorError('invalid', `mapping ${name}: ${error.message}`, { cause: error })
      : error;
  }
}

function columnOf(column: string, hasProcesses: boolean): MappedColumn {
  const known = columns.find((each) => each === column);
  if (known === undefined)
    throw new MonitorError(
      'invalid',
      `there is no column '${column}'${didYouMean(column, columns, `write one of ${columns.join(', ')}`)}`,
    );
  if (!hasProcesses && processColumnIds.some((id) => id === known))
    throw new MonitorError('invalid', `'${column}' is of processes: say which label names one with 'process'`);
  return known;
}

function figureOf(given: unknown, column: string): Figure {
  const map = mapOf(given, column);
  if (map.free !== undefined) {
    refuseUnknown(map, ['free', 'of', 'left']);
    const [free, of] = [textOf(map.free, 'free'), textOf(map.of ?? '', 'of')];
    const left = map.left === undefined ? null : parseSelector(textOf(map.left, 'left'));
    return { how: 'used', free: parseSelector(free), of: parseSelector(of), left };
  }
  refuseUnknown(map, [...hows, 'times']);
  const [how, ...more] = hows.filter((each) => map[each] !== undefined);
  if (how === undefined || more.length > 0)
    throw new MonitorError(
      'invalid',
      `'${column}' needs one of ${hows.join(', ')}, or free and of, each with a selector`,
    );
  const times = Number(textOf(map.times ?? '1', 'times'));
  if (!Number.isFinite(times) || times === 0) throw new MonitorError('invalid', `times of '${column}' is no number`);
  return { how, of: parseSelector(textOf(map[how], how)), times };
}

function mapOf(given: unknown, what: string): Record<string, unknown> {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given as Record<string, unknown>;
  throw new MonitorError('invalid', `${what} must be a map`);
}

function textOf(given: unknown, what: string): string {
  if (typeof given === 'string') return given;
  throw new MonitorError('invalid', `${what} takes a text`);
}

function textsOf(given: unknown, what: string): string[] {
  return [given].flat().map((each) => textOf(each, what));
}

function refuseUnknown(map: Record<string, unknown>, known: readonly string[]): void {
  const wrong = Object.keys(map).find((key) => !known.includes(key));
  if (wrong !== undefined)
    throw new MonitorError(
      'invalid',
      `there is no key '${wrong}'${didYouMean(wrong, known, `write ${known.join(', ')}`)}`,
    );
}
