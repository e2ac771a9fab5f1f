import {
  hostColumn,
  hostMetrics,
  processColumn,
  processColumnIds,
  snakeCase,
  type UsageMetric,
} from '../src/core/metric.ts';
import { exposedHostColumn, exposedProcessColumn } from '../src/core/prometheus-name.ts';
import { hostMetric, processMetric } from '../src/core/series.ts';
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
      kind === 'identity' ? undefined : code(processMetric(id as UsageMetric)),
      unit,
      kind,
      instances && `${instances.add} of ${instances.of}`,
      overTime,
      threshold && `${code(threshold.metric)} of=${threshold.of}`,
      `${code(snakeCase(id))} ${sqlType(id)}`,
      code(snakeCase(id)),
      isExposed && code(exposedProcessColumn(id).name),
      description,
    ];
  });
  const hosts = hostMetrics.map((id) => {
    const { unit, kind, place, by, description } = hostColumn(id);
    return [
      code(id),
      code(hostMetric(id)),
      unit,
      kind,
      by,
      String(place),
      code(id.replace('.', '_')),
      code(exposedHostColumn(id).name),
      description,
    ];
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
    'series',
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
where the clock of the host was ahead), tag \`host\`. Thresholds take the name in the first column.

${table(['column', 'series', 'unit', 'kind', 'told by', 'place', 'InfluxDB', 'Prometheus', 'what it is'], hosts)}

## Of other sources (family \`metric\`, any labels)

What PUT /v1/metrics brings: one value under any name that is not taken above. DuckDB: tables \`series\` and \`sample\`.
InfluxDB: measurement \`metric\`, field \`value\`, tags \`name\`, \`series\` (name and labels as a selector), \`kind\` (gauge or
counter) and \`owner\` (\`host NAME\`, \`source NAME\` or neither).

## What else is written into InfluxDB

| measurement | tags | what |
| --- | --- | --- |
| \`forecast\` | \`metric\` (the series' name), \`host\`, \`process\`; of other sources \`series\` | one forecast of a series and step. Up to 0.3.0 \`metric\` was the name in thresholds |
| \`accuracy\` | the same | how right the forecasts of an hour were |
| \`new_names\`, \`new_series\` | \`host\`; \`owner\` | how many new process names and series of today there are so far |
| \`tried\` | | that it could be written: readiness |
`;
}
