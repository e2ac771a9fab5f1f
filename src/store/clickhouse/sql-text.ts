import type { TimeWindow } from '../../core/store.ts';
import { binMs } from './schema.ts';

/** A name in SQL: nothing of it is read as anything but bytes. 18.16 has no parameters yet. */
export function literal(name: string): string {
  return `unhex('${Buffer.from(name).toString('hex')}')`;
}

/** Of no names nothing is one. */
export function isOneOf(column: string, names: readonly string[]): string {
  return names.length === 0 ? '0' : `${column} IN (${names.map(literal).join(', ')})`;
}

/** A whole number, whatever somebody asks for. */
export function whole(value: number): string {
  const clamped = Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Math.floor(value)));
  return String(Number.isNaN(clamped) ? 0 : clamped);
}

export function during({ from, to }: TimeWindow, column = 'time'): string {
  return `${column} > ${whole(from)} AND ${column} <= ${whole(to)}`;
}

/** The same of rows that lie beside each other by bins: of others than these nothing is read. */
export function duringBins(window: TimeWindow): string {
  const [first, last] = [Math.floor(window.from) + 1, Math.floor(window.to)].map((time) => Math.floor(time / binMs));
  return `${during(window)} AND bin >= ${whole(first ?? 0)} AND bin <= ${whole(last ?? 0)}`;
}

/** A level that values are over. */
export function number(value: number): string {
  return Number.isFinite(value) ? String(value) : value > 0 ? 'inf' : '-inf';
}
