import { useEffect, useState } from 'preact/hooks';
import type { AlarmAnswer, AlarmsAnswer } from '../../src/wire/alarm.ts';
import type { HostsAnswer } from '../../src/wire/host.ts';
import { digits, duration, instant, percent } from '../format.ts';
import { CopyButton, Level, Link, Problem, Section } from '../parts.tsx';
import { at, timeQuery } from '../place.ts';
import { type ProcessRow, useProcessRows } from '../process-rows.ts';
import { liveAlarms, useAnswer } from '../server.ts';
import { Table } from '../table.tsx';
import { say } from '../text.ts';
import { columns, hostColumn } from './processes.tsx';

/** Of all hosts together. */
const mostTop = 10;

/** The alarms at the time that is looked at. */
export function useAlarms(): { data: AlarmsAnswer | null; problem: string | null } {
  const past = useAnswer<AlarmsAnswer>(at.value === null ? null : `/v1/alarms?${timeQuery().slice(1)}`);
  return at.value === null ? { data: liveAlarms.value, problem: null } : past;
}

/** Who is over the line, and who is about to be. */
export function Now() {
  const alarms = useAlarms();
  // The first host is waited for.
  const [isEmpty, setEmpty] = useState(true);
  const hosts = useAnswer<HostsAnswer>('/v1/hosts', isEmpty ? 1000 : 30_000);
  useEffect(() => setEmpty((hosts.data?.hosts.length ?? 0) === 0), [hosts.data]);
  const top = useProcessRows(undefined, mostTop);
  if (hosts.data?.hosts.length === 0) return <NoHosts />;
  const all = alarms.data?.alarms ?? [];
  const red = all.filter(({ level }) => level === 'RED').sort(bySince);
  const amber = all.filter(({ level }) => level === 'AMBER').sort(byEta);
  const stale = alarms.data?.stale ?? [];
  return (
    <>
      <h1>{say(at.value === null ? 'now' : 'thatTime')}</h1>
      <Problem text={alarms.problem ?? hosts.problem} />
      {alarms.data && <Counts red={red} amber={amber} silent={stale} hosts={hosts.data} />}
      <Section title={say('overLine')}>
        {red.length === 0 ? <p>{say('nothingRed')}</p> : <RedTable alarms={red} />}
      </Section>
      <Section title={say('aboutToBe')}>
        {amber.length === 0 ? <p>{say('nothingAmber')}</p> : <AmberTable alarms={amber} />}
      </Section>
      {stale.length > 0 && (
        <Section title={say('silent')}>
          <ul>
            {stale.map(({ host, lastSeen }) => (
              <li key={host}>
                <Level level="STALE" /> <Link to={['hosts', host]}>{host}</Link>, {say('lastSeen')} {instant(lastSeen)}{' '}
                ({say('ago', { age: duration((at.value ?? Date.now()) - Date.parse(lastSeen)) })})
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Section title={say('topProcesses')}>
        <Problem text={top.problem} />
        {top.rows && <Top rows={top.rows} />}
      </Section>
    </>
  );
}

function bySince(a: AlarmAnswer, b: AlarmAnswer): number {
  return Date.parse(a.since) - Date.parse(b.since);
}

function byEta(a: AlarmAnswer, b: AlarmAnswer): number {
  return (a.prediction?.etaSeconds ?? 0) - (b.prediction?.etaSeconds ?? 0);
}

interface CountsProps {
  red: readonly AlarmAnswer[];
  amber: readonly AlarmAnswer[];
  silent: AlarmsAnswer['stale'];
  hosts: HostsAnswer | null;
}

/** Of the hosts those are well that nothing is said of; of the past it is not known how many there were. */
function Counts({ red, amber, silent, hosts }: CountsProps) {
  // What is known of the hosts may be older than what the stream has told: nobody silent is well.
  const told = new Set([...red, ...amber, ...silent].map(({ host }) => host));
  const well = hosts?.hosts.filter(({ host, state }) => state === 'fresh' && !told.has(host)).length;
  return (
    <ul class="counts">
      <Count level="RED" word={say('overLine')} value={red.length} />
      <Count level="AMBER" word={say('aboutToBe')} value={amber.length} />
      <Count level="STALE" word={say('silent')} value={silent.length} />
      {at.value === null && well !== undefined && (
        <Count level="GREEN" word={`${say('well')} (${say('hosts')})`} value={well} />
      )}
    </ul>
  );
}

function Count({ level, word, value }: { level: string; word: string; value: number }) {
  return (
    <li>
      <b>{value}</b>
      <Level level={level} /> {word}
    </li>
  );
}

export function Subject({ alarm }: { alarm: AlarmAnswer }) {
  const { subject, host, metric, series } = alarm;
  if (subject.kind === 'series')
    return (
      <Link row to={['compare']} params={{ series }}>
        {series}
      </Link>
    );
  if (subject.kind === 'system')
    return (
      <Link row to={['hosts', host]}>
        {host}
      </Link>
    );
  const name = subject.name ?? '';
  return (
    <Link row to={['hosts', host, name]} params={{ metric: metric === 'memory' ? 'memoryMax' : 'cpuMax' }}>
      {name}
      {subject.pid !== undefined && subject.pid !== null && ` [${subject.pid}]`}
    </Link>
  );
}

const shared = [
  {
    key: 'level',
    title: say('level'),
    value: ({ level }: AlarmAnswer) => level,
    show: ({ level }: AlarmAnswer) => <Level level={level} />,
  },
  { key: 'host', title: say('host'), value: (alarm: AlarmAnswer) => alarm.host },
  {
    key: 'subject',
    title: say('process'),
    value: ({ subject, series }: AlarmAnswer) => subject.name ?? series,
    show: (alarm: AlarmAnswer) => <Subject alarm={alarm} />,
  },
  {
    key: 'metric',
    title: say('metric'),
    value: ({ subject, metric }: AlarmAnswer) => (subject.kind === 'series' ? '' : metric),
  },
  {
    key: 'value',
    title: say('value'),
    value: ({ value }: AlarmAnswer) => value,
    show: ({ value }: AlarmAnswer) => digits(value),
    isNumber: true,
  },
  {
    key: 'line',
    title: say('line'),
    value: ({ threshold }: AlarmAnswer) => threshold,
    show: ({ threshold }: AlarmAnswer) => digits(threshold),
    isNumber: true,
  },
];

export function RedTable({ alarms }: { alarms: readonly AlarmAnswer[] }) {
  const reference = at.value ?? Date.now();
  const age = ({ since }: AlarmAnswer) => reference - Date.parse(since);
  return (
    <Table
      caption={say('overLine')}
      rows={alarms}
      rowKey={({ id }) => id}
      columns={[
        ...shared,
        { key: 'age', title: say('age'), value: age, show: (alarm) => duration(age(alarm)), isNumber: true },
        { key: 'why', title: say('why'), value: ({ reason }) => reason },
      ]}
    />
  );
}

export function AmberTable({ alarms }: { alarms: readonly AlarmAnswer[] }) {
  return (
    <Table
      caption={say('aboutToBe')}
      rows={alarms}
      rowKey={({ id }) => id}
      columns={[
        ...shared,
        {
          key: 'eta',
          title: say('eta'),
          value: ({ prediction }) => prediction?.etaSeconds ?? null,
          show: ({ prediction }) => etaText(prediction?.etaSeconds, prediction?.intervalSeconds),
          isNumber: true,
        },
        {
          key: 'likely',
          title: say('likely'),
          value: ({ prediction }) => prediction?.probability ?? null,
          show: ({ prediction }) => percent(prediction && Math.min(0.99, prediction.probability)),
          isNumber: true,
        },
        { key: 'why', title: say('why'), value: ({ reason }) => reason },
      ]}
    />
  );
}

function etaText(eta: number | null | undefined, interval: readonly number[] | null | undefined): string {
  if (eta === null || eta === undefined) return '-';
  const between = interval ? ` (${interval.map((seconds) => duration(seconds * 1000)).join(' – ')})` : '';
  return `${duration(eta * 1000)}${between}`;
}

function Top({ rows }: { rows: readonly ProcessRow[] }) {
  if (rows.length === 0) return <p>{say('noProcesses')}</p>;
  return (
    <Table
      caption={say('topProcesses')}
      rows={rows.toSorted((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)).slice(0, mostTop)}
      rowKey={({ host, name }) => `${host}\n${name}`}
      sortedBy="cpu"
      columns={[hostColumn, ...columns]}
    />
  );
}

function NoHosts() {
  const command = `npx amberwatch collect --server ${location.origin}`;
  return (
    <>
      <h1>{say(at.value === null ? 'now' : 'thatTime')}</h1>
      <p>{say('noHosts')}</p>
      <p class="join">
        <code>{command}</code> <CopyButton text={() => command} />
      </p>
    </>
  );
}
