import ms, { type StringValue } from 'ms';
import { MonitorError } from './error.ts';

/**
 * Milliseconds of a duration such as `500ms`, `10s`, `5m`, `2h` or `2d`.
 * @throws MonitorError `invalid` when it has no unit, is not positive or is not a duration.
 */
export function parseDuration(text: string, what: string): number {
  const value = /^\d+(\.\d+)?\s?[a-z]+$/i.test(text) ? ms(text as StringValue) : undefined;
  if (value === undefined || !(value > 0)) {
    throw new MonitorError('invalid', `${what} '${text}' is not a duration; write it like 10s, 5m, 2h or 2d`);
  }
  return value;
}

/** A duration as people write it, in its largest whole unit: `10s`, `5m`, `2d`. */
export function formatDuration(milliseconds: number): string {
  return ms(Math.max(0, Math.round(milliseconds)));
}
