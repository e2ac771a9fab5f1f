import { type DuckDBConnection, INTEGER, LIST, listValue, VARCHAR } from '@duckdb/node-api';
import { parseSeries } from '../../core/selector.ts';
import { seriesKey, subjectOf } from '../../core/series.ts';
import { seriesBeforeSelectors } from '../series-before-selectors.ts';
import { decoded } from './name-texts.ts';

/**
 * Gives every series that has forecasts or tallies, a host, a name and a metric up to version 4, a row in `series`, and
 * makes the table `named` that tells which is which.
 */
export async function nameSeries(connection: DuckDBConnection): Promise<void> {
  const found = await connection.runAndReadAll(`
    SELECT DISTINCT each.host, each.name, each.metric, encode(host.text), encode(name.text)
    FROM (SELECT host, name, metric FROM forecast UNION SELECT host, name, metric FROM tally) each
    JOIN host ON host.id = each.host LEFT JOIN name ON name.id = each.name
    WHERE each.name IS NULL OR name.text IS NOT NULL`);
  const rows = found.getRows().flatMap(([host, name, metric, hostText, nameText], id) => {
    const series = seriesBeforeSelectors(decoded(hostText), name === null ? null : decoded(nameText), String(metric));
    const text = seriesKey(series);
    // Of a damaged file.
    return parseSeries(text) === null ? [] : [{ id, host, name, metric: String(metric), series, text }];
  });
  const numbers = (values: unknown[]) => listValue(values as number[]);
  const texts = (values: string[]) => listValue(values);
  const ids = numbers(rows.map(({ id }) => id));
  await connection.run(
    `INSERT INTO series (id, text, metric, host) SELECT unnest($1), unnest($2), unnest($3), unnest($4)`,
    [
      ids,
      texts(rows.map(({ text }) => text)),
      texts(rows.map(({ series }) => series.metric)),
      texts(rows.map(({ series }) => subjectOf(series).host)),
    ],
    [LIST(INTEGER), LIST(VARCHAR), LIST(VARCHAR), LIST(VARCHAR)],
  );
  await connection.run('CREATE TABLE named (series INTEGER, host INTEGER, name INTEGER, metric VARCHAR)');
  await connection.run(
    'INSERT INTO named SELECT unnest($1), unnest($2), unnest($3), unnest($4)',
    [
      ids,
      numbers(rows.map(({ host }) => host)),
      numbers(rows.map(({ name }) => name)),
      texts(rows.map(({ metric }) => metric)),
    ],
    [LIST(INTEGER), LIST(INTEGER), LIST(INTEGER), LIST(VARCHAR)],
  );
}
