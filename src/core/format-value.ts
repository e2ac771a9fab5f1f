import type { ThresholdMetric } from './threshold.ts';

/** A value with its unit, for a person. */
export function formatValue(metric: ThresholdMetric | string, value: number): string {
  if (metric === 'system.load1') return value.toFixed(2);
  if (metric === 'system.temperature') return `${value.toFixed(1)} °C`;
  if (metric.endsWith('Names')) return String(Math.round(value));
  if (metric.endsWith('Seconds')) return `${Math.round(value)} s`;
  return `${value.toFixed(1)} %`;
}
