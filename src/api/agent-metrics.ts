import { groupBy } from '../platform/group-by.ts';
import { labelsText, type MetricFamily } from '../wire/exposition.ts';
import type { TcpAgents } from './tcp/tcp-agents.ts';

/** Only counters, histograms and summaries are named so: of a gauge that is, nobody says what it is. */
const endsAsOthers = /_(?:total|bucket|count|sum)$/;

/** What connected agents on plain TCP have sent last, by the names they have given it. */
export function* agentFamilies({ readings, connected }: TcpAgents): Generator<MetricFamily> {
  yield {
    name: 'clients_connected',
    help: 'Agents on plain TCP that are connected',
    type: 'gauge',
    samples: [{ labels: '', value: connected }],
  };
  for (const [name, group] of groupBy([...readings.current()], ({ series }) => series.metric)) {
    const { kind = 'gauge', series } = group[0] ?? {};
    yield {
      name,
      help: `Field '${series?.labels.field ?? name}' of agents on plain TCP`,
      type: kind === 'gauge' && endsAsOthers.test(name) ? 'unknown' : kind,
      samples: group.map(({ series: { labels }, value }) => ({ labels: labelsText(labels), value })),
    };
  }
}
