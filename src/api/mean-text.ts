import { meanColumnIds } from '../core/metric.ts';
import { roundPercent } from '../core/snapshot.ts';
import type { MeanRow, Resolution, TimeWindow } from '../core/store.ts';
import { mapped, objectText } from './json-text.ts';
import { windowText } from './table-text.ts';

/** As `meanSchema` says. */
export function meanText(window: TimeWindow, resolution: Resolution, rows: readonly MeanRow[]): Iterable<string> {
  const round = (value: number | null) => (value === null ? null : roundPercent(value));
  const keys = meanColumnIds.map((id) => [id, `"${id}":`] as const);
  // By hand: that takes a third of the time.
  const text = (row: MeanRow) => {
    let made = '{';
    for (const [id, key] of keys) made += `${key}${round(row[id])},`;
    return `${made}"hosts":${row.hosts},"snapshots":${row.snapshots}}`;
  };
  return objectText([
    ...windowText(window),
    ['resolution', [JSON.stringify(resolution)]],
    ['processes', objectText(mapped(rows, (row) => [row.name, [text(row)]]))],
  ]);
}
