import type { Alarm, Culprit } from '../core/alarm.ts';
import { formatDuration } from '../core/duration.ts';
import { formatUnit } from '../core/format-value.ts';
import { unitOfSeries } from '../core/series.ts';
import { otherName } from '../core/snapshot.ts';

/** Why there is an alarm, as one sentence for a person. Nothing else makes sentences of alarms, and nothing reads them. */
export function reasonOf(alarm: Alarm): string {
  const lead = alarm.leadSeconds === null ? [] : [`predicted ${formatDuration(alarm.leadSeconds * 1000)} before`];
  const culprits = alarm.culprits.length === 0 ? [] : [`most by ${alarm.culprits.map(culpritText).join(', ')}`];
  return [causeText(alarm), ...lead, ...culprits].join('; ');
}

function culpritText({ process, value }: Culprit): string {
  return `${process} ${value.toFixed(1)}`;
}

function causeText(alarm: Alarm): string {
  const { cause, host, value } = alarm;
  switch (cause.kind) {
    case 'over':
      return overText(alarm, cause.lastedMs);
    case 'held':
      return heldText(alarm, cause.clear, cause.holdMs);
    case 'pending':
      return 'over the line, but not yet for long enough to be RED';
    case 'forecast':
      return cause.said;
    case 'hostClock':
      return hostClockText(host, cause.skewSeconds, cause.isUnusable);
    case 'foldedNames':
      return `${host} makes up too many process names: until midnight UTC new ones are counted in ${otherName}, ${value} of its newest snapshot`;
    case 'serverClock':
      return `${cause.doubt}; put it right, or, if it is right, say so: amberwatch store expire --confirm`;
  }
}

function overText(alarm: Alarm, lastedMs: number): string {
  return `${valueText(alarm)}, over ${levelText(alarm, alarm.threshold)}${forText(lastedMs)}`;
}

function heldText(alarm: Alarm, clear: number, holdMs: number): string {
  const calm = `at or under ${levelText(alarm, Math.round(clear * 10) / 10)}${forText(holdMs)}`;
  return `${valueText(alarm)} after it was over ${levelText(alarm, alarm.threshold)}; RED ends when it has been ${calm}`;
}

function hostClockText(host: string, skewSeconds: number, isUnusable: boolean): string {
  const direction = skewSeconds < 0 ? 'behind' : 'ahead of';
  const off = `the clock of ${host} is ${formatDuration(Math.abs(skewSeconds) * 1000)} ${direction} the server's`;
  return isUnusable ? `${off}: its snapshots are not evaluated` : off;
}

function forText(ms: number): string {
  return ms > 0 ? ` for ${formatDuration(ms)}` : '';
}

function valueText(alarm: Alarm): string {
  return `${alarm.metric} is ${levelText(alarm, alarm.value, 1)}`;
}

/** A percentage is told as a number alone. */
function levelText({ series }: Alarm, value: number, digits?: number): string {
  const unit = unitOfSeries(series.metric);
  if (unit !== 'percent' && unit !== 'percentOfCore') return formatUnit(unit, value);
  return digits === undefined ? String(value) : value.toFixed(digits);
}
