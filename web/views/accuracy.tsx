import type { AccuracyAnswer } from '../../src/wire/forecast.ts';
import { digits, duration, instant, percent } from '../format.ts';
import { Loading, Problem } from '../parts.tsx';
import { span, timeQuery } from '../place.ts';
import { useAnswer } from '../server.ts';
import { Table } from '../table.tsx';
import { say } from '../text.ts';

type Row = AccuracyAnswer['overall'] & { name: string; host: string; muted: boolean };

/** How right the forecasts were. */
export function Accuracy() {
  const { data, problem } = useAnswer<AccuracyAnswer>(
    `/v1/forecasts/accuracy?window=${span.value}${timeQuery()}`,
    30_000,
  );
  const rows: Row[] =
    data === null
      ? []
      : [
          { ...data.overall, name: say('overall'), host: '', muted: false },
          ...data.series.map((each) => ({ ...each, name: `${each.process ?? ''} ${each.metric}`.trim() })),
        ];
  return (
    <>
      <h1>{say('accuracy')}</h1>
      <Problem text={problem} />
      <Loading data={data} problem={problem} />
      {data && (
        <>
          <p>
            {instant(data.from)} – {instant(data.to)}
          </p>
          <Table
            caption={say('accuracy')}
            rows={rows}
            rowKey={({ host, name }) => `${host} ${name}`}
            filterBy={({ host, name }) => `${host} ${name}`}
            columns={[
              { key: 'host', title: say('host'), value: ({ host }) => host },
              {
                key: 'name',
                title: say('series'),
                value: ({ name, muted }) => (muted ? `${name} (${say('muted')})` : name),
              },
              ...(['breaches', 'warned', 'falseAlarms'] as const).map((key) => ({
                key,
                title: say(key),
                value: (row: Row) => row[key],
                isNumber: true,
              })),
              ...(['precision', 'recall'] as const).map((key) => ({
                key,
                title: say(key),
                value: (row: Row) => row[key],
                show: (row: Row) => percent(row[key]),
                isNumber: true,
              })),
              {
                key: 'brierSkill',
                title: say('brierSkill'),
                value: (row: Row) => row.brierSkill,
                show: (row: Row) => digits(row.brierSkill),
                isNumber: true,
              },
              {
                key: 'lead',
                title: say('leadTime'),
                value: (row: Row) => row.medianLeadSeconds,
                show: (row: Row) => (row.medianLeadSeconds === null ? '-' : duration(row.medianLeadSeconds * 1000)),
                isNumber: true,
              },
            ]}
          />
        </>
      )}
    </>
  );
}
