import { isPaused, isStale } from '../core/alarm.ts';
import { seenAt } from '../core/host-clock.ts';
import { hostColumn, hostMetrics, type ProcessColumnId, processColumn, processColumnIds } from '../core/metric.ts';
import { exposedHostColumn, exposedProcessColumn } from '../core/prometheus-name.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import { type ExposedSample, labelsText, type MetricFamily } from '../wire/exposition.ts';
import type { NewestUsage } from './newest-usage.ts';

const exposedColumns = processColumnIds.filter((id) => processColumn(id).isExposed);

/**
 * Who reports and what is used, by hosts that are not silent: of one that is nothing is known, and what is left out of a
 * scrape Prometheus takes for gone.
 * @param usage of their newest snapshots
 */
export function* usageFamilies(
  hosts: readonly SnapshotHeader[],
  usage: readonly NewestUsage[],
  now: number,
): Generator<MetricFamily> {
  yield hostStates(hosts, now);
  const heard = hosts
    .filter((header) => !isStale(header, now))
    .map((header) => ({ header, labels: labelsText({ host: header.host, ip: header.ip }) }));
  yield* hostFamilies(heard);
  const ips = new Map(heard.map(({ header }) => [header.host, header.ip]));
  const labels = usage.map((): string[] => []);
  const labelsOf = (place: number, row: number) => {
    const { host, processes, indexes } = usage[place] as NewestUsage;
    const ofHost = labels[place] as string[];
    ofHost[row] ??= labelsText({ host, ip: ips.get(host) ?? null, process: processes.name[indexes[row] as number] });
    return ofHost[row];
  };
  for (const id of exposedColumns) {
    const { divisor, ...family } = exposedProcessColumn(id);
    const help = `Newest of a process name: ${processColumn(id).description}`;
    yield { ...family, help, samples: processSamples(usage, labelsOf, id, divisor) };
  }
}

type Heard = { header: SnapshotHeader; labels: string };

function hostStates(hosts: readonly SnapshotHeader[], now: number): MetricFamily {
  const counts = { fresh: 0, paused: 0, stale: 0 };
  for (const header of hosts) counts[isStale(header, now) ? 'stale' : isPaused(header) ? 'paused' : 'fresh']++;
  const samples = Object.entries(counts).map(([state, value]) => ({ labels: labelsText({ state }), value }));
  return { name: 'amberwatch_hosts', help: 'Hosts by whether they still report', type: 'gauge', samples };
}

function* hostFamilies(heard: readonly Heard[]): Generator<MetricFamily> {
  const of = (name: string, help: string, read: (header: SnapshotHeader) => number | null): MetricFamily => ({
    name: `amberwatch_host_${name}`,
    help,
    type: 'gauge',
    samples: hostSamples(heard, read),
  });
  yield of('last_seen_timestamp_seconds', 'When the host was last heard of', (header) => seenAt(header) / 1000);
  yield of('interval_seconds', 'How often it reports', ({ intervalMs }) => intervalMs / 1000);
  yield of('cores', 'Usable cores', ({ cores }) => cores);
  yield of('memory_bytes', 'What all of its memory is', ({ memoryBytes }) => memoryBytes);
  for (const id of hostMetrics) {
    const { divisor, ...family } = exposedHostColumn(id);
    const read = ({ metrics }: SnapshotHeader) => {
      const value = metrics[id];
      return value === undefined ? null : value / divisor;
    };
    yield { ...family, help: hostColumn(id).description, samples: hostSamples(heard, read) };
  }
}

function* hostSamples(
  heard: readonly Heard[],
  read: (header: SnapshotHeader) => number | null,
): Generator<ExposedSample> {
  for (const { header, labels } of heard) {
    const value = read(header);
    if (value !== null) yield { labels, value };
  }
}

function* processSamples(
  usage: readonly NewestUsage[],
  labelsOf: (place: number, row: number) => string,
  id: ProcessColumnId,
  divisor: number,
): Generator<ExposedSample> {
  for (const [place, { processes, indexes }] of usage.entries())
    for (const [row, index] of indexes.entries()) {
      const value = processes[id][index] ?? null;
      if (value !== null) yield { labels: labelsOf(place, row), value: value / divisor };
    }
}
