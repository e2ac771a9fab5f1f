import { formatBytes } from '../core/format-bytes.ts';
import { clockTime } from '../platform/clock-time.ts';
import { plainTable } from '../platform/plain-table.ts';
import type { DiskAnswer } from '../wire/disk.ts';

type Tier = DiskAnswer['kept'][number]['tier'];

const names: Record<Tier, string> = {
  rows: 'rows',
  '1m': 'minutes',
  '1h': 'hours',
  percentiles: 'percentiles',
};
/** The setting that says how long. */
const settingOf: Record<Tier, string> = {
  rows: '--retention',
  '1m': '--retention-1m',
  '1h': '--retention-1h',
  percentiles: '--retention-1h',
};

/** The answer of /v1/store/disk as a table, and under it what another retention would cost. */
export function diskLines({ bytes, mostBytes, usedBytes, databaseBytes, hosts, kept }: DiskAnswer): string[] {
  if (bytes === null) return ['the store is not the embedded one: ask InfluxDB what it takes'];
  const rows = kept.map((each) => [
    names[each.tier],
    formatBytes(each.bytes),
    each.rows.toLocaleString('en'),
    (each.bytes / each.rows).toFixed(1),
    clockTime(Date.parse(each.from)),
    clockTime(Date.parse(each.to)),
    formatBytes(each.bytesPerDay),
    hosts === 0 ? '-' : formatBytes(each.bytesPerDay / hosts),
    settingOf[each.tier],
  ]);
  const columns = ['CLOSED', 'TAKES', 'ROWS', 'BYTES A ROW', 'FROM', 'TO', 'A DAY', 'A HOST AND DAY', 'KEPT BY'];
  const limit = mostBytes === null ? 'no --max-disk is set' : `--max-disk is ${formatBytes(mostBytes)}`;
  return [
    `${formatBytes(bytes)} in all, of ${hosts} ${hosts === 1 ? 'host' : 'hosts'}; ${limit}`,
    `${formatBytes(databaseBytes)} of it is the database, of which ${formatBytes(usedBytes)} are in use: what is not closed yet (the last hour or two), forecasts, and samples of other sources`,
    ...(rows.length === 0 ? ['nothing is closed yet: an hour is, an hour after its end'] : plainTable(columns, rows)),
    ...costs(kept),
  ];
}

/** What a day more of each would take. */
function costs(kept: DiskAnswer['kept']): string[] {
  const perDay = (setting: string) =>
    kept.filter(({ tier }) => settingOf[tier] === setting).reduce((sum, { bytesPerDay }) => sum + bytesPerDay, 0);
  return [...new Set(kept.map(({ tier }) => settingOf[tier]))].map((setting) => {
    const bytes = perDay(setting);
    return `${setting} costs ${formatBytes(bytes)} a day: ${formatBytes(bytes * 7)} for a week, ${formatBytes(bytes * 365)} for a year`;
  });
}
