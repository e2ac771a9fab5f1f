import { describe, expect, test } from 'vitest';
import { formatValue } from '../../src/core/format-value.ts';
import {
  hostColumn,
  hostMetrics,
  processColumn,
  processColumnIds,
  processQuantities,
  unitOf,
} from '../../src/core/metric.ts';
import { parseThreshold } from '../../src/core/threshold.ts';
import { packedNull } from '../../src/store/duckdb/packed-snapshot.ts';
import { migrationFrom, scaleOf, schemaVersion, sqlType } from '../../src/store/duckdb/schema.ts';

describe('the catalogue', () => {
  test('no place of a host column is given twice, and none has moved', () => {
    const places = hostMetrics.map((id) => hostColumn(id).place);
    expect(new Set(places).size).toBe(places.length);
    expect(Object.fromEntries(hostMetrics.map((id) => [id, hostColumn(id).place]))).toMatchObject({
      'system.cpu': 0,
      'system.temperature': 5,
      'collector.gapToMs': 15,
      'collector.clockSkewSeconds': 16,
      'collector.foldedSinceMs': 20,
    });
  });

  test('process columns stand in the order in which the file got them', () => {
    expect(processColumnIds.slice(0, 7)).toEqual(['cpu', 'cpuMax', 'memory', 'memoryMax', 'rssBytes', 'count', 'pid']);
    const since = processColumnIds.map((id) => processColumn(id).since);
    expect(since).toEqual(since.toSorted((a, b) => a - b));
    expect(Math.max(...since)).toBeLessThanOrEqual(schemaVersion);
  });

  test('what it says of columns refers to columns', () => {
    for (const id of processColumnIds) {
      const { insteadOfMissing, least, instances, kind } = processColumn(id);
      if (insteadOfMissing !== undefined) expect(processColumnIds).toContain(insteadOfMissing);
      // What stands for null on the way to DuckDB.
      expect(least).toBeGreaterThan(packedNull);
      if (kind === 'identity') expect(instances).toBeUndefined();
    }
  });

  test('every value there may be fits into its column', () => {
    const most = { INTEGER: 2 ** 31 - 1, UINTEGER: 2 ** 32 - 2, BIGINT: Number.MAX_SAFE_INTEGER };
    for (const id of processColumnIds)
      expect(processColumn(id).most * scaleOf(id)).toBeLessThanOrEqual(most[sqlType(id)]);
  });

  test('each new column is added to a file of the version before', () => {
    for (const id of processColumnIds) {
      const { since } = processColumn(id);
      if (since > 1) expect(migrationFrom(since - 1).join()).toMatch(/ALTER TABLE usage ADD COLUMN/);
    }
  });

  test('whatever may have a threshold has a unit, and a line can be said', () => {
    for (const metric of [...processQuantities, ...hostMetrics]) {
      expect(parseThreshold(`${metric}:red=50,clear=40`)).toMatchObject({ metric, red: 50 });
      expect(unitOf(metric) === 'none').toBe(false);
      expect(formatValue(metric, 12)).toMatch(/12|1970/);
    }
  });
});
