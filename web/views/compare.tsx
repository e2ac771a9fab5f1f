import { useMemo } from 'preact/hooks';
import type { SeriesAnswer } from '../../src/wire/series.ts';
import { Chart } from '../chart.tsx';
import { digits } from '../format.ts';
import { Loading, Problem } from '../parts.tsx';
import { change, place, span, spanMs, timeQuery } from '../place.ts';
import { useAnswer } from '../server.ts';
import { Table } from '../table.tsx';
import { say } from '../text.ts';
import { stepOf } from './host.tsx';

/** More lines nobody tells apart; the table has all of them. */
const mostLines = 8;
const examples = ['system_cpu', 'system_memory', 'system_load1', 'amberwatch_sla_budget_used_percent'];

/** One metric over all hosts, or whatever a selector names. */
export function Compare() {
  const selector = place.value.params.get('series') ?? 'system_cpu';
  const url = `/v1/series?series=${encodeURIComponent(selector)}&window=${span.value}&step=${stepOf(spanMs.value)}${timeQuery()}`;
  const { data, problem } = useAnswer<SeriesAnswer>(url, 15_000);
  const rows = useMemo(() => (data?.series ?? []).map(rowOf).sort((a, b) => b.last - a.last), [data]);
  const lines = useMemo(() => rows.slice(0, mostLines).map(({ name, points }) => ({ label: name, points })), [rows]);
  return (
    <>
      <h1>{say('compare')}</h1>
      <form
        class="tools"
        onSubmit={(event) => {
          event.preventDefault();
          change({ series: String(new FormData(event.currentTarget).get('series') ?? '') });
        }}
      >
        <label>
          {say('selector')} <input name="series" list="examples" size={40} defaultValue={selector} key={selector} />
        </label>{' '}
        <button type="submit">{say('show')}</button>
        <datalist id="examples">
          {examples.map((example) => (
            <option key={example} value={example} />
          ))}
        </datalist>
      </form>
      <Problem text={problem} />
      <Loading data={data} problem={problem} />
      {data && <Chart name={selector} lines={lines} />}
      {rows.length > 0 && (
        <Table
          caption={selector}
          rows={rows}
          rowKey={({ key }) => key}
          sortedBy="last"
          filterBy={({ key }) => key}
          columns={[
            { key: 'name', title: say('series'), value: ({ name }) => name },
            ...(['last', 'low', 'high'] as const).map((key) => ({
              key,
              title: say(key === 'last' ? 'value' : key),
              value: (row: Row) => row[key],
              show: (row: Row) => digits(row[key]),
              isNumber: true,
            })),
          ]}
        />
      )}
    </>
  );
}

type Row = ReturnType<typeof rowOf>;

function rowOf({ series, labels, points }: SeriesAnswer['series'][number]) {
  const values = points.map(({ value }) => value);
  return {
    key: series,
    // What tells it apart, where that is the host alone.
    name: Object.keys(labels).join() === 'host' ? (labels.host as string) : series,
    points: points.map(({ time, value }) => ({ time: Date.parse(time), value })),
    last: values.at(-1) ?? 0,
    low: values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
    high: values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
  };
}
