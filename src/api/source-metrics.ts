import type { SourceStatus } from '../sources/prometheus-source.ts';
import { labelsText, type MetricFamily } from '../wire/exposition.ts';

/** How it goes with every Prometheus that is asked. */
export function* sourceFamilies(sources: readonly SourceStatus[]): Generator<MetricFamily> {
  const family = (name: string, help: string, type: MetricFamily['type'], read: (source: SourceStatus) => number) => ({
    name: `amberwatch_source_${name}`,
    help,
    type,
    samples: sources.map((source) => ({ labels: labelsText({ source: source.name }), value: read(source) })),
  });
  if (sources.length === 0) return;
  yield family('up', '1: the source has answered the last question', 'gauge', ({ failure }) =>
    failure === null ? 1 : 0,
  );
  yield family('series', 'Series with samples in its last answer', 'gauge', ({ series }) => series);
  yield family('samples_total', 'Its samples that were stored', 'counter', ({ samples }) => samples);
  yield family(
    'missing_seconds',
    'How much of its past is still to be fetched',
    'gauge',
    ({ missingMs }) => missingMs / 1000,
  );
}
