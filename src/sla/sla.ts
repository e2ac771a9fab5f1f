import { formatDuration, parseDuration } from '../core/duration.ts';
import { MonitorError } from '../core/error.ts';
import { parseSelector } from '../core/selector.ts';

/** What is promised: values of series within a range, for a share of the time. */
export interface SlaDefinition {
  /** The series, all of which have to be in the range. */
  selector: string;
  /** Ends of the range, both of them in it, in the metric's unit; null: it is open there. */
  min: number | null;
  max: number | null;
  /** Percent of the time. */
  objective: number;
  /** Over which it is told, such as `1h`. */
  windows: readonly string[];
}

/** In force since then, epoch milliseconds, until the next one is. The first one is for all of the past. */
export interface SlaVersion extends SlaDefinition {
  since: number;
}

export interface Sla {
  id: string;
  /** Oldest first, at least one. */
  versions: readonly SlaVersion[];
  /** It stands in the file that the server was given, and is changed there. */
  isFromFile?: true;
}

export const defaultWindows: readonly string[] = ['1h', '3h', '12h'];
const mostWindows = 10;
const shortestWindowMs = 1000;
const longestWindowMs = 31 * 86_400_000;

/** The definition that is in force now. */
export function currentOf({ versions }: Sla): SlaVersion {
  return versions.at(-1) as SlaVersion;
}

/** @throws MonitorError `invalid` that says what is wrong with it */
export function checkDefinition({ selector, min, max, objective, windows }: SlaDefinition): void {
  parseSelector(selector);
  if ([min, max].some((end) => end !== null && !Number.isFinite(end)))
    throw new MonitorError('invalid', 'min and max have to be numbers, or null where the range is open');
  if (min === null && max === null)
    throw new MonitorError('invalid', 'an SLA needs min, max or both: with neither nothing could violate it');
  if (min !== null && max !== null && min > max)
    throw new MonitorError('invalid', `min ${min} is above max ${max}: every value would violate it`);
  if (!(objective > 0 && objective <= 100))
    throw new MonitorError('invalid', `objective ${objective} is no share of the time in percent, such as 99.5`);
  if (windows.length === 0 || windows.length > mostWindows)
    throw new MonitorError('invalid', `windows must be 1 to ${mostWindows} durations, such as 1h`);
  const lengths = windows.map((window) => parseDuration(window, 'windows'));
  for (const [index, length] of lengths.entries())
    if (length > longestWindowMs || length < shortestWindowMs)
      throw new MonitorError(
        'invalid',
        `window '${windows[index]}' does not lie between 1s and ${formatDuration(longestWindowMs)}`,
      );
  if (new Set(lengths).size < lengths.length)
    throw new MonitorError('invalid', `of the windows ${windows.join(', ')} two are as long as each other`);
}

export function isSameDefinition(a: SlaDefinition, b: SlaDefinition): boolean {
  return (
    a.selector === b.selector &&
    a.min === b.min &&
    a.max === b.max &&
    a.objective === b.objective &&
    a.windows.join() === b.windows.join()
  );
}
