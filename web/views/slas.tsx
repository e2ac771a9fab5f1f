import type { SlaPredictionsAnswer, SlaStatusAnswer, ViolationsAnswer } from '../../src/wire/sla.ts';
import { digits, duration, instant, percent } from '../format.ts';
import { Level, Link, Loading, Problem, Section } from '../parts.tsx';
import { at, span, timeQuery } from '../place.ts';
import { useAnswer } from '../server.ts';
import { Table } from '../table.tsx';
import { say } from '../text.ts';

/** How every SLA stands, in each of its windows. */
export function Slas({ id }: { id?: string }) {
  const time = timeQuery().replace('&', '?');
  const { data, problem } = useAnswer<SlaStatusAnswer>(`/v1/slas/status${time}`, 30_000);
  const rows = (data?.slas ?? []).flatMap((sla) => sla.windows.map((window) => ({ ...sla, ...window })));
  return (
    <>
      <h1>{say('slas')}</h1>
      <Problem text={problem} />
      <Loading data={data} problem={problem} />
      {data && data.slas.length === 0 && <p>{say('noSlas')}</p>}
      {data?.slas
        .filter((sla) => sla.problem !== null)
        .map((sla) => (
          <Problem key={sla.id} text={`${sla.id}: ${sla.problem}`} />
        ))}
      {rows.length > 0 && (
        <Table
          caption={say('slas')}
          rows={rows}
          rowKey={(row) => `${row.id} ${row.window}`}
          columns={[
            {
              key: 'id',
              title: 'SLA',
              value: ({ id }) => id,
              show: ({ id }) => (
                <Link row to={['slas', id]}>
                  {id}
                </Link>
              ),
            },
            {
              key: 'level',
              title: say('level'),
              value: ({ met }) => levelOf(met),
              show: ({ met }) => (met === null ? '-' : <Level level={levelOf(met)} />),
            },
            { key: 'window', title: say('window'), value: ({ window }) => window },
            {
              key: 'objective',
              title: say('objective'),
              value: ({ objective }) => objective,
              show: ({ objective }) => `${digits(objective)} %`,
              isNumber: true,
            },
            {
              key: 'kept',
              title: say('kept'),
              value: ({ compliance }) => compliance,
              show: ({ compliance }) => (compliance === null ? '-' : `${digits(compliance)} %`),
              isNumber: true,
            },
            { key: 'violations', title: say('violations'), value: ({ violations }) => violations, isNumber: true },
            {
              key: 'left',
              title: say('budgetLeft'),
              value: ({ budgetLeftSeconds }) => budgetLeftSeconds,
              show: ({ budgetLeftSeconds }) =>
                `${budgetLeftSeconds < 0 ? '−' : ''}${duration(Math.abs(budgetLeftSeconds) * 1000)}`,
              isNumber: true,
            },
            {
              key: 'usedUp',
              title: say('usedUp'),
              value: ({ budgetUsedUpAt }) => budgetUsedUpAt,
              show: ({ budgetUsedUpAt }) => instant(budgetUsedUpAt),
            },
          ]}
        />
      )}
      {id !== undefined && <One id={id} />}
    </>
  );
}

function levelOf(met: boolean | null): string {
  return met === null ? '' : met ? 'GREEN' : 'RED';
}

function One({ id }: { id: string }) {
  const url = `/v1/slas/${encodeURIComponent(id)}`;
  const violations = useAnswer<ViolationsAnswer>(`${url}/violations?window=${span.value}${timeQuery()}`, 30_000);
  const predictions = useAnswer<SlaPredictionsAnswer>(at.value === null ? `${url}/predictions` : null, 30_000);
  return (
    <Section title={`${id}: ${say('violations')}`}>
      <Problem text={violations.problem} />
      <Table
        caption={say('violations')}
        rows={violations.data?.violations ?? []}
        rowKey={({ series, from }) => `${series} ${from}`}
        columns={[
          { key: 'series', title: say('series'), value: ({ series }) => series },
          { key: 'from', title: say('since'), value: ({ from }) => from, show: ({ from }) => instant(from) },
          {
            key: 'for',
            title: say('age'),
            value: ({ durationSeconds }) => durationSeconds,
            show: ({ durationSeconds }) => duration(durationSeconds * 1000),
            isNumber: true,
          },
          {
            key: 'worst',
            title: say('value'),
            value: ({ worst }) => worst,
            show: ({ worst }) => digits(worst),
            isNumber: true,
          },
        ]}
      />
      {predictions.data && predictions.data.predictions.length > 0 && (
        <Table
          caption={say('forecast')}
          rows={predictions.data.predictions}
          rowKey={({ series, side }) => `${series} ${side}`}
          columns={[
            { key: 'series', title: say('series'), value: ({ series }) => series },
            {
              key: 'limit',
              title: say('line'),
              value: ({ limit }) => limit,
              show: ({ limit, side }) => `${side === 'above' ? '≤' : '≥'} ${digits(limit)}`,
              isNumber: true,
            },
            {
              key: 'value',
              title: say('value'),
              value: ({ value }) => value,
              show: ({ value }) => digits(value),
              isNumber: true,
            },
            {
              key: 'likely',
              title: say('likely'),
              value: ({ probability }) => probability,
              show: ({ probability }) => percent(probability),
              isNumber: true,
            },
            { key: 'why', title: say('why'), value: ({ reason }) => reason },
          ]}
        />
      )}
    </Section>
  );
}
