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

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** A duration as people write it, in at most its two largest units: `10s`, `1m 30s`, `2d`. Never more than it is. */
export function formatDuration(milliseconds: number): string {
  const rounded = Math.max(0, Math.round(milliseconds));
  const largest = units.findIndex(([, length]) => rounded >= length);
  if (largest < 0) return `${rounded}ms`;
  let left = rounded;
  const parts = units.slice(largest, largest + 2).flatMap(([unit, length]) => {
    const count = Math.floor(left / length);
    left -= count * length;
    return count > 0 ? [`${count}${unit}`] : [];
  });
  return parts.join(' ');
}
