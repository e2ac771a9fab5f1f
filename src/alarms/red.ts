import { type Alarm, isStale } from '../core/alarm.ts';
import { formatDuration } from '../core/duration.ts';
import { formatUnit } from '../core/format-value.ts';
import { placedAt } from '../core/host-clock.ts';
import { unitOfSeries } from '../core/series.ts';
import type { Threshold } from '../core/threshold.ts';
import { alarmId } from './alarm-id.ts';
import type { Candidate } from './candidate.ts';

export function redAlarm(
  candidate: Candidate,
  since: number | null,
  at: number,
  predicted: ReadonlyMap<string, number | null>,
): Alarm[] {
  const { header, threshold, subject, value } = candidate;
  if (since === null || header.time - since < threshold.forMs) return [];
  const lasted = header.time - since;
  const id = alarmId(candidate.series);
  // Runs are looked for in the host's own time; what is told is the server's.
  const began = since - (header.time - placedAt(header));
  const lead = began - (predicted.get(id) ?? began);
  const reasons = [
    redReason(threshold, value, lasted),
    ...(lead > 0 ? [`predicted ${formatDuration(lead)} before`] : []),
  ];
  return [
    {
      id,
      level: 'RED',
      state: isStale(header, at) ? 'stale' : 'firing',
      host: header.host,
      ip: header.ip,
      subject,
      metric: threshold.metric,
      series: candidate.key,
      of: threshold.of,
      basis: threshold.basis,
      value,
      threshold: threshold.red,
      since: began,
      reason: reasons.join('; '),
      prediction: null,
      leadSeconds: lead > 0 ? lead / 1000 : null,
    },
  ];
}

function redReason({ selector, metric: name, red, clear, holdMs }: Threshold, value: number, lastedMs: number): string {
  const { metric } = selector;
  const is = `${name} is ${levelText(metric, value, 1)}`;
  if (value > red)
    return `${is}, over ${levelText(metric, red)}${lastedMs > 0 ? ` for ${formatDuration(lastedMs)}` : ''}`;
  const calm = `at or under ${levelText(metric, Math.round(clear * 10) / 10)}`;
  return `${is} after it was over ${levelText(metric, red)}; RED ends when it has been ${calm}${holdMs > 0 ? ` for ${formatDuration(holdMs)}` : ''}`;
}

/** A percentage is told as a number alone. */
function levelText(metric: string, value: number, digits?: number): string {
  const unit = unitOfSeries(metric);
  if (unit !== 'percent' && unit !== 'percentOfCore') return formatUnit(unit, value);
  return digits === undefined ? String(value) : value.toFixed(digits);
}
