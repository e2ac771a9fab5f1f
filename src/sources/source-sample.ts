import type { Series } from '../core/series.ts';
import type { TimeWindow } from '../core/store.ts';
import { withSource } from '../wire/scraped-series.ts';
import { leaveOut, type NotKept, noHistograms } from './not-kept.ts';
import { PrometheusApi } from './prometheus-api.ts';
import type { PrometheusSourceOptions } from './prometheus-source.ts';

/** What would come of a source. */
export interface SourceSample {
  version: string | null;
  series: { series: Series; kind: 'gauge' | 'counter'; value: number | null; time: number | null; samples: number }[];
  samples: number;
  notKept: NotKept;
}

/** Asks a Prometheus once, and keeps nothing. @throws MonitorError as PrometheusApi */
export async function sampleOfSource(options: PrometheusSourceOptions, window: TimeWindow): Promise<SourceSample> {
  const api = new PrometheusApi(options);
  const found: SourceSample = { version: null, series: [], samples: 0, notKept: { count: 0, why: null } };
  try {
    for (const selector of options.selectors)
      await api.samples(selector, window, async ({ metric, values = [], histograms = [] }) => {
        const scraped = withSource(metric, options.name);
        leaveOut(found.notKept, { count: histograms.length, why: noHistograms });
        if ('refused' in scraped) return leaveOut(found.notKept, { count: values.length, why: scraped.refused });
        const [seconds, value] = values.at(-1) ?? [null, null];
        found.samples += values.length;
        found.series.push({
          ...scraped,
          value: value === null ? null : Number(value),
          time: seconds === null ? null : Math.round(seconds * 1000),
          samples: values.length,
        });
      });
    found.version = await api.version().catch(() => null);
    return found;
  } finally {
    await api.close();
  }
}
