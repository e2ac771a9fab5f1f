import { type Alarm, type Cause, isStale } from '../core/alarm.ts';
import { placedAt } from '../core/host-clock.ts';
import { alarmId } from './alarm-id.ts';
import type { Candidate } from './candidate.ts';

/**
 * The alarm of a candidate whose run has lasted for long enough; null: there is none.
 * @param since when its run began, by its host's clock; null: there is none
 * @param amberSince by alarm, since when it had been predicted
 */
export function redAlarm(
  candidate: Candidate,
  since: number | null,
  at: number,
  amberSince: ReadonlyMap<string, number | null>,
): Alarm | null {
  const { header, threshold, subject, series, value } = candidate;
  if (since === null || header.time - since < threshold.forMs) return null;
  const id = alarmId(series);
  // Runs are looked for in the host's own time; what is told is the server's.
  const began = since - (header.time - placedAt(header));
  const leadMs = began - (amberSince.get(id) ?? began);
  return {
    id,
    level: 'RED',
    state: isStale(header, at) ? 'stale' : 'firing',
    host: header.host,
    ip: header.ip,
    subject,
    metric: threshold.metric,
    series,
    of: threshold.of,
    basis: threshold.basis,
    value,
    threshold: threshold.red,
    since: began,
    cause: causeOf(candidate, header.time - since),
    culprits: [],
    prediction: null,
    leadSeconds: leadMs > 0 ? leadMs / 1000 : null,
  };
}

function causeOf({ threshold, value }: Candidate, lastedMs: number): Cause {
  const { red, clear, holdMs } = threshold;
  return value > red ? { kind: 'over', lastedMs } : { kind: 'held', clear, holdMs };
}
