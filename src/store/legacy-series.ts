import { columnOfQuantity, type HostMetric, hostColumns, type UsageMetric } from '../core/metric.ts';
import { hostSeries, processSeries, type Series } from '../core/series.ts';

/**
 * The series of a forecast that was kept up to 0.3.0: `cpu` of a process was of its largest instance unless the
 * threshold said otherwise, and that is not known any more.
 */
export function legacySeries(host: string, process: string | null, metric: string): Series {
  const column = process === null ? undefined : columnOfQuantity(metric, 'largest');
  if (process !== null && column !== undefined) return processSeries(column as UsageMetric, host, process);
  if (process === null && Object.hasOwn(hostColumns, metric)) return hostSeries(metric as HostMetric, host);
  return { metric, labels: process === null ? { host } : { host, process } };
}
