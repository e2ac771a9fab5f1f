import type { MonitorClient } from '../client/monitor-client.ts';
import { formatBytes } from '../core/format-bytes.ts';
import { plainTable } from '../platform/plain-table.ts';
import { terminalText } from '../platform/terminal-text.ts';

type Row = {
  name: string;
  pid: number | null;
  count: number;
  cpu: number | null;
  memory: number | null;
  rssBytes: number | null;
};

/** The highest processes of a host's newest snapshot by CPU, or that it is paused; null until one since `since` knows CPU. */
export async function topTable(
  client: MonitorClient,
  host: string,
  since: number,
  rows: number,
): Promise<string | null> {
  const found = (await client.hosts()).hosts.find((candidate) => candidate.host === host);
  if (found?.state === 'paused')
    return `${terminalText(host)} is paused: it is not looked at; to look at it again: amberwatch host set ${terminalText(host)} --resume`;
  if (!found || found.system.cpu === undefined || Date.parse(found.lastSeen) < since) return null;
  const { processes } = await client.detailed({ host, at: found.lastSeen, window: '1ms' });
  const usage = Object.entries(processes).flatMap(([name, points]) => points.map((point): Row => ({ name, ...point })));
  const top = usage
    .filter((row) => row.pid !== null)
    .sort(byUse)
    .slice(0, rows);
  const { cpu, memory, load1 } = found.system;
  const figures = [
    `CPU ${percent(cpu)} of ${found.cores} cores`,
    `memory ${percent(memory)} of ${formatBytes(found.memoryBytes)}`,
    `load ${load1 ?? '-'}`,
  ];
  return `${terminalText(host)} (${found.ip ?? 'no address'}): ${figures.join(', ')}\n${render(top)}`;
}

function byUse(a: Row, b: Row): number {
  return (b.cpu ?? -1) - (a.cpu ?? -1) || (b.memory ?? 0) - (a.memory ?? 0);
}

function render(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    terminalText(row.name, 32),
    row.pid ?? '',
    row.count,
    fixed(row.cpu),
    fixed(row.memory),
    formatBytes(row.rssBytes),
  ]);
  const head = ['PROCESS', 'PID', 'COUNT', 'CPU %', 'MEM %', 'RSS'];
  return plainTable(head, cells, ['left', 'right', 'right', 'right', 'right', 'right']).join('\n');
}

function fixed(value: number | null): string {
  return value === null ? '-' : value.toFixed(1);
}

function percent(value: number | undefined): string {
  return value === undefined ? '-' : `${value.toFixed(1)} %`;
}
