import {
  hostColumn,
  hostMetrics,
  processColumn,
  processColumnIds,
  prometheusName,
  snakeCase,
} from '../src/core/metric.ts';
import { sqlType } from '../src/store/duckdb/schema.ts';

/** docs/METRICS.md, made from the catalogue: `npx vitest run test/docs.test.ts -u` writes it anew. */
export function metricTable(): string {
  const line = (cells: readonly (string | undefined)[]) => `| ${cells.map((cell) => cell ?? '').join(' | ')} |`;
  const table = (head: string[], rows: (string | undefined)[][]) =>
    [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
  const code = (text: string) => `\`${text}\``;
  const processes = processColumnIds.map((id) => {
    const { unit, kind, instances, overTime, threshold, isExposed, description } = processColumn(id);
    return [
      code(id),
      unit,
      kind,
      instances && `${instances.add} of ${instances.of}`,
      overTime,
      threshold && `${code(threshold.metric)} of=${threshold.of}`,
      `${code(snakeCase(id))} ${sqlType(id)}`,
      code(snakeCase(id)),
      isExposed && code(`amberwatch_${prometheusName(id)}`),
      description,
    ];
  });
  const hosts = hostMetrics.map((id) => {
    const { unit, kind, place, by, description } = hostColumn(id);
    return [code(id), unit, kind, by, String(place), code(id.replace('.', '_')), description];
  });
  return `# Metrics

Made from the catalogue in src/core/metric.ts by \`npx vitest run test/docs.test.ts -u\`; do not edit it.

## Of a process name (family \`process\`, labels \`host\` and \`process\`)

One row for each name in each snapshot. DuckDB: table \`usage\`. InfluxDB: measurement \`process\`, tags \`host\` and
\`process\`, field \`ip\` beside these. \`over instances\`: how the processes of one name add up. \`over time\`: what means
tell of it.

${table(
  [
    'column',
    'unit',
    'kind',
    'over instances',
    'over time',
    'threshold',
    'DuckDB',
    'InfluxDB',
    'Prometheus',
    'what it is',
  ],
  processes,
)}

## Of a host (family \`host\`, label \`host\`)

DuckDB: table \`snapshot\`, a list in which each has its place. InfluxDB: measurement \`snapshot\` (\`snapshot_from_future\`
where the clock of the host was ahead), tag \`host\`. Prometheus: \`amberwatch_host{host,metric}\`. Thresholds take the name in the first column.

${table(['column', 'unit', 'kind', 'told by', 'place', 'InfluxDB', 'what it is'], hosts)}
`;
}
