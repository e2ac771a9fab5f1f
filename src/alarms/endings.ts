import { type Alarm, type Alarms, type Ended, type Ending, serverName } from '../core/alarm.ts';
import type { HostMetric } from '../core/metric.ts';
import { isKnown, type Sample } from '../core/sample.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import type { Reads } from '../core/store.ts';
import { groupBy } from '../platform/group-by.ts';

/** A source that has said nothing for so long says nothing of now. */
const longestSilenceMs = 3_600_000;

/** Who is known at an instant: the newest snapshot of each host, and whom somebody has had forgotten. */
export interface KnownThen {
  headers: ReadonlyMap<string, SnapshotHeader>;
  isForgotten(host: string): boolean;
}

const recovered: Ending = { how: 'recovered', value: null };

/** How all that was there before and is not there now has ended. */
export async function endingsOf(before: Alarms, now: Alarms, known: KnownThen, reads: Reads<[]>): Promise<Ended[]> {
  const { at } = now;
  const ended: Ended[] = [];
  const there = new Set(now.alarms.map(({ id }) => id));
  const gone = before.alarms.filter(({ id }) => !there.has(id));
  for (const [host, alarms] of groupBy(gone, ({ host, subject }) => (subject.kind === 'series' ? '' : host))) {
    const endings = await (host === '' ? ofSources(alarms, at, known, reads) : ofHost(host, alarms, known, reads));
    for (const [index, { id, host }] of alarms.entries())
      ended.push({ id, host, at, ...(endings[index] ?? recovered) });
  }
  const silent = new Set(now.stale.map(({ host }) => host));
  for (const { host } of before.stale)
    if (!silent.has(host)) ended.push({ id: null, host, at, ...(goneBy(host, known) ?? recovered) });
  return ended;
}

/** Of one that is not known any more; null: it is. */
function goneBy(host: string, { headers, isForgotten }: KnownThen): Ending | null {
  if (headers.has(host) || host === serverName) return null;
  return { how: isForgotten(host) ? 'forgotten' : 'expired', value: null };
}

async function ofHost(
  host: string,
  alarms: readonly Alarm[],
  known: KnownThen,
  reads: Reads<[]>,
): Promise<(Ending | null)[]> {
  const gone = goneBy(host, known);
  const header = known.headers.get(host);
  if (gone !== null || header === undefined) return alarms.map(() => gone);
  const ofProcesses = alarms.filter(({ subject }) => subject.kind === 'process');
  const series = ofProcesses.map((alarm) => alarm.series);
  const { time } = header;
  const selected = series.length > 0 ? await reads.select({ from: time - 1, to: time, series, stepMs: null }) : [];
  const values = new Map(ofProcesses.map((alarm, index) => [alarm, selected[index]?.samples.at(-1)?.value]));
  return alarms.map((alarm) =>
    alarm.subject.kind === 'process'
      ? endingOfProcess(alarm, values.get(alarm), header)
      : endingAt(header.metrics[alarm.metric as HostMetric] ?? null),
  );
}

/** @param value undefined: of a process that is not in it */
function endingOfProcess(
  { metric, basis }: Alarm,
  value: Sample['value'] | undefined,
  { cores }: SnapshotHeader,
): Ending {
  if (value === undefined || value === 'exited') return { how: 'exited', value: null };
  return endingAt(value === null || metric !== 'cpu' || basis !== 'host' ? value : value / (cores ?? 1));
}

function endingAt(value: number | null): Ending {
  return { how: value === null ? 'unknown' : 'recovered', value };
}

/** Of other sources than hosts: by the newest value of each. */
async function ofSources(
  alarms: readonly Alarm[],
  at: number,
  { isForgotten }: KnownThen,
  reads: Reads<[]>,
): Promise<Ending[]> {
  const window = { from: at - longestSilenceMs, to: at };
  const selected = await reads.select({ ...window, series: alarms.map(({ series }) => series), stepMs: null });
  return alarms.map(({ series }, index) => {
    if (isForgotten(series.labels.host ?? '')) return { how: 'forgotten', value: null };
    const last = selected[index]?.samples.filter(isKnown).at(-1);
    return last === undefined ? { how: 'expired', value: null } : { how: 'recovered', value: last.value };
  });
}
