import type { AlarmAnswer, AlarmsAnswer } from '../../src/wire/alarm.ts';
import { Chart } from '../chart.tsx';
import { digits, instant } from '../format.ts';
import { Level, Problem, Section, saveCsv } from '../parts.tsx';
import { lookAt } from '../place.ts';
import { useInstants } from '../server.ts';
import { Table } from '../table.tsx';
import { say } from '../text.ts';
import { Subject } from './now.tsx';

/** Alarms are a function of what is stored and an instant: so many instants of the window are asked for. */
const instants = 24;

interface Told extends Pick<AlarmAnswer, 'id' | 'host' | 'level' | 'metric' | 'value' | 'reason'> {
  alarm: AlarmAnswer;
  name: string;
  from: number;
  to: number;
}

/** Who was over its line, or about to be, when in the window. */
export function Alarms() {
  const [answers, problem] = useInstants<AlarmsAnswer>('/v1/alarms?', instants);
  const told = toldBy(answers);
  const of = (level: string) =>
    answers.map((answer) => ({
      time: Date.parse(answer.at),
      value: answer.alarms.filter((alarm) => alarm.level === level).length,
    }));
  const save = () =>
    saveCsv('alarms.csv', [
      ['level', 'host', 'subject', 'metric', 'value', 'from', 'to', 'reason'],
      ...told.map(({ level, host, name, metric, value, from, to, reason }) => [
        ...[level, host, name, metric, value],
        ...[new Date(from).toISOString(), new Date(to).toISOString(), reason],
      ]),
    ]);
  return (
    <>
      <h1>{say('alarms')}</h1>
      <Problem text={problem} />
      <Section title={say('timeline')}>
        <Chart
          name={say('alarmsOver')}
          lines={[
            { label: 'RED', points: of('RED'), color: 4 },
            { label: 'AMBER', points: of('AMBER'), color: 1 },
          ]}
        />
      </Section>
      <Section title={say('alarmsOver')}>
        <p class="tools">
          <button type="button" onClick={save}>
            {say('csv')}
          </button>
        </p>
        <Table
          caption={say('alarmsOver')}
          rows={told}
          rowKey={({ id, level, from }) => `${id} ${level} ${from}`}
          sortedBy="to"
          filterBy={({ host, name, metric, level }) => `${host} ${name} ${metric} ${level}`}
          columns={[
            {
              key: 'level',
              title: say('level'),
              value: ({ level }) => level,
              show: ({ level }) => <Level level={level} />,
            },
            { key: 'host', title: say('host'), value: ({ host }) => host },
            {
              key: 'name',
              title: say('process'),
              value: ({ name }) => name,
              show: ({ alarm }) => <Subject alarm={alarm} />,
            },
            { key: 'metric', title: say('metric'), value: ({ metric }) => metric },
            {
              key: 'value',
              title: say('value'),
              value: ({ value }) => value,
              show: ({ value }) => digits(value),
              isNumber: true,
            },
            {
              key: 'from',
              title: say('since'),
              value: ({ from }) => from,
              show: ({ from }) => (
                <button type="button" onClick={() => lookAt(from)}>
                  {instant(from)}
                </button>
              ),
            },
            { key: 'to', title: say('at'), value: ({ to }) => to, show: ({ to }) => instant(to) },
            { key: 'why', title: say('why'), value: ({ reason }) => reason },
          ]}
        />
      </Section>
    </>
  );
}

/** What was told at instants that follow each other is one. */
function toldBy(answers: readonly AlarmsAnswer[]): Told[] {
  const open = new Map<string, Told>();
  const all: Told[] = [];
  for (const [index, answer] of answers.entries()) {
    const before = answers[index - 1];
    for (const alarm of answer.alarms) {
      const { id, level, host, metric, value, reason, subject, series, since } = alarm;
      const known = open.get(`${id} ${level}`);
      if (known && before && known.to === Date.parse(before.at))
        Object.assign(known, { to: Date.parse(answer.at), value, reason });
      else {
        const name = subject.kind === 'series' ? series : (subject.name ?? '');
        const told = {
          alarm,
          id,
          level,
          host,
          metric,
          value,
          reason,
          name,
          from: Date.parse(since),
          to: Date.parse(answer.at),
        };
        open.set(`${id} ${level}`, told);
        all.push(told);
      }
    }
  }
  return all;
}
