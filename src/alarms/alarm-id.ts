import { createHash } from 'node:crypto';
import { isOfOtherSource, type Series, type Subject, seriesKey, subjectOf } from '../core/series.ts';

/** Stable over polls and restarts, and free of whatever a name may hold. One for `process_cpu` and `process_cpu_max`. */
export function alarmId(series: Series): string {
  return isOfOtherSource(series.metric) ? hashed(seriesKey(series)) : idOf(subjectOf(series));
}

export function idOf({ host, process, metric }: Subject): string {
  return hashed(JSON.stringify([host, process === null ? 'system' : 'process', process, metric]));
}

function hashed(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
