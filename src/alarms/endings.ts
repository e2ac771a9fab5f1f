import { type Alarm, type Ended, type Ending, isPaused, serverName } from '../core/alarm.ts';
import { binByTime } from '../core/bin-by-time.ts';
import { placedAt } from '../core/host-clock.ts';
import type { HostMetric } from '../core/metric.ts';
import { hasEnded, isKnown, type Sample } from '../core/sample.ts';
import { isOfOtherSource, subjectOf } from '../core/series.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import type { Reads } from '../core/store.ts';

/** A source that has said nothing for so long says nothing of now. */
const longestSilenceMs = 3_600_000;
const stepMs = 10_000;
/** It is asked how an alarm has ended when it has. */
const newestMs = 300_000;
/** Of other sources, in one query: an hour of each is read. */
const seriesPerQuery = 100;

/** Who is known now: the newest snapshot of each host, and whom somebody has had forgotten. */
export interface HostsNow {
  at: number;
  headers: ReadonlyMap<string, SnapshotHeader>;
  isForgotten(host: string): boolean;
  /** Whether that is no host, but a source that is asked. */
  isSource(host: string): boolean;
}

/** What of an alarm has to be known to say how it has ended. */
export type EndedAlarm = Pick<Alarm, 'id' | 'host' | 'series' | 'basis'>;

const recovered: Ending = { how: 'recovered', value: null };

/** How alarms that are not there any more have ended, by what is stored now. */
export async function endingsOf(alarms: readonly EndedAlarm[], hosts: HostsNow, reads: Reads<[]>): Promise<Ended[]> {
  const ofSources = alarms.filter(({ series, host }) => host !== serverName && isOfOtherSource(series.metric));
  const ofProcesses = alarms.filter(({ host, series }) => {
    const header = hosts.headers.get(host);
    return header !== undefined && !isPaused(header) && series.labels.process !== undefined;
  });
  const read = new Map([
    ...(await sourceEndings(ofSources, hosts, reads)),
    ...(await processEndings(ofProcesses, hosts, reads)),
  ]);
  return alarms.map((alarm) => {
    const { id, host } = alarm;
    const header = hosts.headers.get(host);
    const newest = header === undefined ? {} : { newestAt: placedAt(header) };
    return { id, host, ...newest, ...(read.get(alarm) ?? hostEnding(alarm, hosts)) };
  });
}

/** How the silence, or the pause, of hosts has ended. */
export function silenceEndings(silent: readonly string[], hosts: HostsNow): Ended[] {
  return silent.map((host) => ({ id: null, host, ...(unknownHost(host, hosts) ?? recovered) }));
}

/** Of a host that is not known any more; null: it is. */
function unknownHost(host: string, { headers, isForgotten, isSource }: HostsNow): Ending | null {
  if (headers.has(host) || host === serverName || isSource(host)) return null;
  return { how: isForgotten(host) ? 'forgotten' : 'expired', value: null };
}

function hostEnding({ host, series }: EndedAlarm, hosts: HostsNow): Ending {
  if (host === serverName) return recovered;
  const header = hosts.headers.get(host);
  const value = header?.metrics[subjectOf(series).metric as HostMetric] ?? null;
  // What it says of itself all the same goes on.
  if (value === null && header !== undefined && isPaused(header)) return { how: 'paused', value };
  return unknownHost(host, hosts) ?? endingAt(value);
}

/** By the newest snapshot of each host. */
async function processEndings(
  alarms: readonly EndedAlarm[],
  { headers }: HostsNow,
  reads: Reads<[]>,
): Promise<Map<EndedAlarm, Ending>> {
  const endings = new Map<EndedAlarm, Ending>();
  const asked = alarms.map((alarm) => ({ alarm, header: headers.get(alarm.host) as SnapshotHeader }));
  for (const bin of binByTime(asked.map((each) => ({ ...each, time: each.header.time })))) {
    const times = bin.map(({ time }) => time);
    const window = { from: Math.min(...times) - 1, to: Math.max(...times) };
    const selected = await reads.select({ ...window, series: bin.map(({ alarm }) => alarm.series), stepMs: null });
    for (const [index, { alarm, header, time }] of bin.entries()) {
      const sample = selected[index]?.samples.find((each) => each.time === time);
      endings.set(alarm, endingOfProcess(alarm, sample?.value, header));
    }
  }
  return endings;
}

/** The value as its threshold is. */
function endingOfProcess(
  { series, basis }: EndedAlarm,
  value: Sample['value'] | undefined,
  { cores }: SnapshotHeader,
): Ending {
  if (value === undefined || value === 'exited') return { how: 'exited', value: null };
  const isOfHost = subjectOf(series).metric === 'cpu' && basis === 'host';
  return endingAt(value === null || !isOfHost ? value : value / (cores ?? 1));
}

function endingAt(value: number | null): Ending {
  return { how: value === null ? 'unknown' : 'recovered', value };
}

/** Of other sources than hosts: by the newest step of each. */
async function sourceEndings(
  alarms: readonly EndedAlarm[],
  hosts: HostsNow,
  reads: Reads<[]>,
): Promise<Map<EndedAlarm, Ending>> {
  const endings = new Map<EndedAlarm, Ending>();
  const window = { from: hosts.at - longestSilenceMs, to: hosts.at };
  for (let from = 0; from < alarms.length; from += seriesPerQuery) {
    const part = alarms.slice(from, from + seriesPerQuery);
    const series = part.map((alarm) => alarm.series);
    const selected = await reads.select({ ...window, series, stepMs, aggregate: 'max' });
    const newest = await reads.select({ from: hosts.at - newestMs, to: hosts.at, series, stepMs: null });
    for (const [index, alarm] of part.entries()) {
      const value = selected[index]?.samples.filter(isKnown).at(-1)?.value;
      endings.set(alarm, endingOfSource(alarm, hasEnded(newest[index]?.samples ?? []) ? 'exited' : value, hosts));
    }
  }
  return endings;
}

function endingOfSource(
  { series }: EndedAlarm,
  value: number | 'exited' | undefined,
  { isForgotten }: HostsNow,
): Ending {
  if (isForgotten(series.labels.host ?? '')) return { how: 'forgotten', value: null };
  if (value === 'exited') return { how: 'exited', value: null };
  return value === undefined ? { how: 'expired', value: null } : { how: 'recovered', value };
}
