import { useMemo } from 'preact/hooks';
import type { MeanAnswer } from '../../src/wire/history.ts';
import type { HostAnswer } from '../../src/wire/host.ts';
import type { SeriesAnswer } from '../../src/wire/series.ts';
import { Chart, type Line } from '../chart.tsx';
import { decimal, digits, duration } from '../format.ts';
import { Problem, Section } from '../parts.tsx';
import { at, span, spanMs, timeQuery } from '../place.ts';
import { useAnswer } from '../server.ts';
import { say } from '../text.ts';
import { State } from './hosts.tsx';
import { AmberTable, RedTable, useAlarms } from './now.tsx';
import { ProcessTable } from './processes.tsx';

const largest = 5;

/** So many points are drawn, whatever the window. */
export function stepOf(windowMs: number): string {
  return `${Math.max(10, Math.ceil(windowMs / 240_000 / 10) * 10)}s`;
}

/** One host: its totals, what they are made of, and all its processes. */
export function Host({ host }: { host: string }) {
  const about = useAnswer<HostAnswer>(`/v1/hosts/${encodeURIComponent(host)}`);
  const alarms = useAlarms();
  const own = alarms.data?.alarms.filter((alarm) => alarm.host === host) ?? [];
  const red = own.filter(({ level }) => level === 'RED');
  const amber = own.filter(({ level }) => level === 'AMBER');
  return (
    <>
      <h1>
        <span class="name">{host}</span>
      </h1>
      <Problem text={about.problem} />
      {about.data && at.value === null && <About host={about.data} />}
      {red.length > 0 && <RedTable alarms={red} />}
      {amber.length > 0 && <AmberTable alarms={amber} />}
      <Section title={`${say('totals')}, ${say('cpu')}`}>
        <Totals host={host} cores={about.data?.cores ?? null} />
      </Section>
      <Section title={say('processes')}>
        <ProcessTable host={host} />
      </Section>
    </>
  );
}

function About({ host: { system, state, ip, cores, lastSeen, interval } }: { host: HostAnswer }) {
  return (
    <p>
      <State state={state} /> · {ip ?? '-'} · {cores ?? '-'} × CPU · CPU {decimal(system.cpu)} % · {say('memory')}{' '}
      {decimal(system.memory)} · load {digits(system.load1)} · {say('interval')} {duration(interval * 1000)} ·{' '}
      {say('ago', { age: duration(Date.now() - Date.parse(lastSeen)) })}
    </p>
  );
}

/** What the whole host takes, in percent of one core, and its largest processes of the window. */
function Totals({ host, cores }: { host: string; cores: number | null }) {
  const name = encodeURIComponent(host);
  const time = `window=${span.value}&step=${stepOf(spanMs.value)}${timeQuery()}`;
  const total = useAnswer<SeriesAnswer>(`/v1/series?host=${name}&metric=system.cpu&${time}`, 15_000);
  const mean = useAnswer<MeanAnswer>(
    `/v1/usage/mean?host=${name}&top=${largest}&window=${span.value}${timeQuery()}`,
    60_000,
  );
  const names = Object.entries(mean.data?.processes ?? {})
    .sort(([, a], [, b]) => (b.cpu ?? 0) - (a.cpu ?? 0))
    .map(([process]) => process);
  const asked = (index: number) => {
    const process = names[index];
    return process === undefined
      ? null
      : `/v1/series?host=${name}&process=${encodeURIComponent(process)}&metric=cpu&${time}`;
  };
  const parts = [
    useAnswer<SeriesAnswer>(asked(0), 15_000),
    useAnswer<SeriesAnswer>(asked(1), 15_000),
    useAnswer<SeriesAnswer>(asked(2), 15_000),
    useAnswer<SeriesAnswer>(asked(3), 15_000),
    useAnswer<SeriesAnswer>(asked(4), 15_000),
  ];
  const lines = useMemo(
    () =>
      linesOf(
        total.data,
        cores,
        parts.map(({ data }) => data),
        names,
      ),
    [total.data, cores, names.join('\n'), ...parts.map(({ data }) => data)],
  );
  if (total.problem !== null) return <Problem text={total.problem} />;
  return total.data === null ? null : <Chart name={`${host}, ${say('cpu')}`} lines={lines} isStacked />;
}

function linesOf(
  total: SeriesAnswer | null,
  cores: number | null,
  parts: readonly (SeriesAnswer | null)[],
  names: readonly string[],
): Line[] {
  const whole = pointsOf(total).map(({ time, value }) => ({ time, value: value * (cores ?? 1) }));
  const lines = parts.flatMap((part, index) => {
    const label = names[index];
    return label === undefined || part === null ? [] : [{ label, points: pointsOf(part), color: index }];
  });
  const taken = lines.map(({ points }) => new Map(points.map(({ time, value }) => [time, value])));
  const rest = whole.map(({ time, value }) => ({
    time,
    value: Math.max(0, value - taken.reduce((sum, part) => sum + (part.get(time) ?? 0), 0)),
  }));
  return [...lines, { label: say('rest'), points: rest, color: 7 }];
}

export function pointsOf(answer: SeriesAnswer | null): { time: number; value: number }[] {
  return (answer?.series[0]?.points ?? []).map(({ time, value }) => ({ time: Date.parse(time), value }));
}
