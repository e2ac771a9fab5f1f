import { type DesiredSettings, intervalBounds, nothingDesired } from '../core/collector-settings.ts';

/**
 * In the answer to a PUT of snapshots that were taken: what somebody wants of their collector. A dictionary as RFC 9651
 * has it; absent: nothing is wanted.
 */
export const desiredHeader = 'amberwatch-desired';

/** `interval=30.5, paused` */
export function formatDesired({ intervalMs, isPaused }: DesiredSettings): string {
  const parts = [...(intervalMs === null ? [] : [`interval=${intervalMs / 1000}`]), ...(isPaused ? ['paused'] : [])];
  return parts.join(', ');
}

/** Keys that are not known, and values that are none, are passed over: a later server may say more. */
export function parseDesired(text: string): DesiredSettings {
  const desired: DesiredSettings = { ...nothingDesired };
  for (const part of text.split(',')) {
    const [key, value = '?1'] = part.trim().split('=', 2);
    if (key === 'paused') desired.isPaused = value === '?1';
    const ms = key === 'interval' ? Math.round(Number(value) * 1000) : Number.NaN;
    if (ms >= intervalBounds.leastMs && ms <= intervalBounds.mostMs) desired.intervalMs = ms;
  }
  return desired;
}
