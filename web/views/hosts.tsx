import type { HostAnswer, HostsAnswer } from '../../src/wire/host.ts';
import type { SeriesAnswer } from '../../src/wire/series.ts';
import { decimal, duration } from '../format.ts';
import { Level, Link, Loading, Problem, Sparkline } from '../parts.tsx';
import { at, timeQuery } from '../place.ts';
import { useAnswer } from '../server.ts';
import { Table } from '../table.tsx';
import { say } from '../text.ts';

/** A row for each host, its CPU of the last hour beside it. */
export function Hosts() {
  const { data, problem } = useAnswer<HostsAnswer>('/v1/hosts', 10_000);
  const trend = useAnswer<SeriesAnswer>(`/v1/series?series=system_cpu&window=1h&step=3m${timeQuery()}`, 30_000);
  const trends = new Map(
    trend.data?.series.map(({ labels, points }) => [labels.host, points.map(({ value }) => value)]),
  );
  return (
    <>
      <h1>{say('hosts')}</h1>
      <Problem text={problem} />
      <Loading data={data} problem={problem} />
      {data && (
        <Table
          caption={say('hosts')}
          rows={at.value === null ? data.hosts : data.hosts.map((host) => asThen(host, trends.get(host.host)))}
          rowKey={({ host }) => host}
          sortedBy="cpu"
          filterBy={({ host, ip }) => `${host} ${ip}`}
          columns={[
            {
              key: 'host',
              title: say('host'),
              value: ({ host }) => host,
              show: ({ host }) => (
                <Link row to={['hosts', host]}>
                  {host}
                </Link>
              ),
            },
            {
              key: 'state',
              title: say('state'),
              value: ({ state }) => state,
              show: ({ state }) => (at.value === null ? <State state={state} /> : '-'),
            },
            { key: 'cpu', title: say('cpu'), value: cpuOf, show: (host) => decimal(cpuOf(host)), isNumber: true },
            {
              key: 'memory',
              title: say('memory'),
              value: memoryOf,
              show: (host) => decimal(memoryOf(host)),
              isNumber: true,
            },
            {
              key: 'trend',
              title: `${say('trend')}, ${say('cpu')}`,
              value: ({ host }) => Math.max(0, ...(trends.get(host) ?? [])),
              show: ({ host }) => <Sparkline values={trends.get(host) ?? []} />,
            },
            { key: 'ip', title: say('address'), value: ({ ip }) => ip },
            {
              key: 'seen',
              title: say('lastSeen'),
              value: ({ lastSeen }) => (at.value === null ? -Date.parse(lastSeen) : null),
              show: ({ lastSeen }) =>
                at.value === null ? say('ago', { age: duration(Date.now() - Date.parse(lastSeen)) }) : '-',
              isNumber: true,
            },
          ]}
        />
      )}
    </>
  );
}

/** Of the past its CPU is known here, and nothing else. */
function asThen(host: HostAnswer, trend: readonly number[] | undefined): HostAnswer {
  const cpu = trend?.at(-1);
  return { ...host, system: cpu === undefined ? {} : { cpu } };
}

/** What is not heard of is not green. */
export function State({ state }: { state: HostAnswer['state'] }) {
  return state === 'fresh' ? say('fresh') : <Level level={state.toUpperCase()} />;
}

function cpuOf({ system }: HostAnswer): number | null {
  return system.cpu ?? null;
}

function memoryOf({ system }: HostAnswer): number | null {
  return system.memory ?? null;
}
