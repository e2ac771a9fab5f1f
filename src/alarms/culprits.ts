import type { Alarm, Culprit } from '../core/alarm.ts';
import { reservedNames, type SnapshotHeader } from '../core/snapshot.ts';
import type { Reads } from '../core/store.ts';
import type { UsageRow } from '../core/usage-row.ts';

/** Processes named as the cause of a host's alarm. */
const culpritCount = 3;
/** Rows looked at for them: some are no processes. */
const culpritRows = culpritCount + reservedNames.size;

/** An alarm of a whole host names the processes behind it. */
export async function withCulprits(
  alarms: readonly Alarm[],
  hosts: readonly SnapshotHeader[],
  reads: Reads<[]>,
): Promise<Alarm[]> {
  const affected = new Set(alarms.filter((alarm) => alarm.subject.kind === 'system').map((alarm) => alarm.host));
  if (affected.size === 0) return [...alarms];
  const ofAffected = hosts.filter((header) => affected.has(header.host));
  const rows = await reads.rows(ofAffected, { top: culpritRows });
  return alarms.map((alarm) => {
    if (alarm.subject.kind !== 'system') return alarm;
    return { ...alarm, culprits: culpritsOf(alarm, rows) };
  });
}

function culpritsOf({ metric, host }: Alarm, rows: readonly UsageRow[]): Culprit[] {
  const column = metric === 'system.cpu' ? 'cpu' : metric === 'system.memory' ? 'memory' : null;
  if (column === null) return [];
  return rows
    .filter((row) => row.host === host && !reservedNames.has(row.name) && (row[column] ?? 0) > 0)
    .map((row) => ({ process: row.name, value: row[column] ?? 0 }))
    .sort((a, b) => b.value - a.value)
    .slice(0, culpritCount);
}
