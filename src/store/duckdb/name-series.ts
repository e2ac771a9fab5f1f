import { type DuckDBConnection, INTEGER, LIST, listValue, VARCHAR } from '@duckdb/node-api';
import { parseSeries } from '../../core/selector.ts';
import { type Series, seriesKey, subjectOf } from '../../core/series.ts';
import { legacySeries } from '../legacy-series.ts';
import { decoded } from './encoded-text.ts';

/** A series as versions up to 4 named it, and as it is named now. */
interface Named {
  id: number;
  host: unknown;
  name: unknown;
  metric: string;
  series: Series;
}

/**
 * Gives every series that has forecasts or tallies, a host, a name and a metric up to version 4, a row in `series`, and
 * makes the table `named` that tells which is which.
 */
export async function nameSeries(connection: DuckDBConnection): Promise<void> {
  const rows = await seriesBefore(connection);
  const ids = integers(rows.map(({ id }) => id));
  const columns = 'unnest($1), unnest($2), unnest($3), unnest($4)';
  await connection.run(
    `INSERT INTO series (id, text, metric, host) SELECT ${columns}`,
    [
      ids,
      listValue(rows.map(({ series }) => seriesKey(series))),
      listValue(rows.map(({ series }) => series.metric)),
      listValue(rows.map(({ series }) => subjectOf(series).host)),
    ],
    [LIST(INTEGER), LIST(VARCHAR), LIST(VARCHAR), LIST(VARCHAR)],
  );
  await connection.run('CREATE TABLE named (series INTEGER, host INTEGER, name INTEGER, metric VARCHAR)');
  await connection.run(
    `INSERT INTO named SELECT ${columns}`,
    [
      ids,
      integers(rows.map(({ host }) => host)),
      integers(rows.map(({ name }) => name)),
      listValue(rows.map(({ metric }) => metric)),
    ],
    [LIST(INTEGER), LIST(INTEGER), LIST(INTEGER), LIST(VARCHAR)],
  );
}

/** All of them that can be named now: of a damaged file some cannot. */
async function seriesBefore(connection: DuckDBConnection): Promise<Named[]> {
  const found = await connection.runAndReadAll(`
    SELECT DISTINCT each.host, each.name, each.metric, encode(host.text), encode(name.text)
    FROM (SELECT host, name, metric FROM forecast UNION SELECT host, name, metric FROM tally) each
    JOIN host ON host.id = each.host LEFT JOIN name ON name.id = each.name
    WHERE each.name IS NULL OR name.text IS NOT NULL`);
  return found.getRows().flatMap(([host, name, metric, hostText, nameText], id) => {
    const series = legacySeries(decoded(hostText), name === null ? null : decoded(nameText), String(metric));
    return parseSeries(seriesKey(series)) === null ? [] : [{ id, host, name, metric: String(metric), series }];
  });
}

function integers(values: readonly unknown[]) {
  return listValue(values as number[]);
}
