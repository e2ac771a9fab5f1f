import { formatBytes } from './format-bytes.ts';
import { type Unit, unitOf } from './metric.ts';

const formats: Record<Unit, (value: number) => string> = {
  percent: (value) => `${value.toFixed(1)} %`,
  percentOfCore: (value) => `${value.toFixed(1)} %`,
  bytes: formatBytes,
  bytesPerSecond: (value) => `${formatBytes(value)}/s`,
  milliseconds: (value) => `${value.toFixed(1)} ms`,
  seconds: (value) => `${Math.round(value)} s`,
  epochMilliseconds: (value) => new Date(value).toISOString(),
  celsius: (value) => `${value.toFixed(1)} °C`,
  load: (value) => value.toFixed(2),
  count: (value) => String(Math.round(value)),
  none: (value) => String(Math.round(value * 1000) / 1000),
};

export function formatUnit(unit: Unit, value: number): string {
  return formats[unit](value);
}

/** A value with its unit, for a person. */
export function formatValue(metric: string, value: number): string {
  // Not of any host, and so of no family.
  if (metric === 'server.clockSkewSeconds') return formats.seconds(value);
  return formats[unitOf(metric)](value);
}
