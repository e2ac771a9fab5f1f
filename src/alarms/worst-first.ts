import { type Alarm, levels } from '../core/alarm.ts';

export function worstFirst(a: Alarm, b: Alarm): number {
  const byLevel = levels.indexOf(a.level) - levels.indexOf(b.level);
  const byPrediction = (b.prediction?.probability ?? 0) - (a.prediction?.probability ?? 0);
  const byExcess = b.value / b.threshold - a.value / a.threshold;
  return byLevel || byPrediction || byExcess || a.host.localeCompare(b.host) || a.id.localeCompare(b.id);
}
