import { useMemo } from 'preact/hooks';
import type { AccuracyAnswer, ForecastsAnswer, SeriesForecastsAnswer } from '../../src/wire/forecast.ts';
import type { SeriesAnswer } from '../../src/wire/series.ts';
import { Chart } from '../chart.tsx';
import { digits, duration, instant, percent } from '../format.ts';
import { Link, Loading, Problem, Section } from '../parts.tsx';
import { change, place, span, spanMs, timeQuery } from '../place.ts';
import { useAnswer, useInstants } from '../server.ts';
import { Table } from '../table.tsx';
import { say } from '../text.ts';
import { pointsOf, stepOf } from './host.tsx';

const metrics = {
  cpuMax: 'process_cpu_max',
  memoryMax: 'process_memory_max',
  cpu: 'process_cpu',
  memory: 'process_memory',
};

/** One process: how it was, its line, what is expected of it, and how right that has been. */
export function Process({ host, process }: { host: string; process: string }) {
  const asked = place.value.params.get('metric') ?? 'cpuMax';
  const metric = (asked in metrics ? asked : 'cpuMax') as keyof typeof metrics;
  const subject = `host=${encodeURIComponent(host)}&process=${encodeURIComponent(process)}`;
  const key = `${metrics[metric]}{host=${quoted(host)},process=${quoted(process)}}`;
  const time = timeQuery();
  const history = useAnswer<SeriesAnswer>(
    `/v1/series?${subject}&metric=${metric}&window=${span.value}&step=${stepOf(spanMs.value)}${time}`,
    10_000,
  );
  const forecasts = useAnswer<ForecastsAnswer>(`/v1/forecasts?series=${encodeURIComponent(key)}${time}`, 10_000);
  const path = useAnswer<SeriesForecastsAnswer>(
    `/v1/forecasts/series?selector=${encodeURIComponent(key)}&horizon=10m${time}`,
    30_000,
  );
  const accuracy = useAnswer<AccuracyAnswer>(
    `/v1/forecasts/accuracy?series=${encodeURIComponent(key)}&window=24h${time}`,
    60_000,
  );
  const forecast = forecasts.data?.forecasts[0];
  const steps = path.data?.series[0]?.steps ?? [];
  const lines = useMemo(() => linesOf(metric, history.data, steps), [metric, history.data, path.data]);
  return (
    <>
      <h1>
        <span class="name">{process}</span> · <Link to={['hosts', host]}>{host}</Link>
      </h1>
      <p class="tools">
        <label>
          {say('metric')}{' '}
          <select value={metric} onChange={(event) => change({ metric: event.currentTarget.value })}>
            {Object.keys(metrics).map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </p>
      <Problem text={history.problem} />
      <Loading data={history.data} problem={history.problem} />
      {history.data && (
        <Chart
          name={`${process}, ${host}, ${metric}`}
          lines={lines}
          threshold={forecast?.threshold ?? null}
          unit=" %"
          {...(steps.length > 0 && { band: [2, 3] as const })}
        />
      )}
      <Section title={say('forecast')}>
        {forecast === undefined ? (
          <p>{say('noForecast')}</p>
        ) : (
          <p>
            {forecast.probability === null ? say('overOrYoung') : `${say('likely')}: ${percent(forecast.probability)}`}{' '}
            · {say('line')} {digits(forecast.threshold)} %
            {forecast.etaSeconds !== null && ` · ${say('eta')} ${duration(forecast.etaSeconds * 1000)}`}
            {forecast.reason && ` · ${forecast.reason}`}
          </p>
        )}
        {accuracy.data && <Record accuracy={accuracy.data} />}
        <PastPredictions selector={key} history={history.data} />
      </Section>
    </>
  );
}

function Record({ accuracy: { overall, from, to } }: { accuracy: AccuracyAnswer }) {
  return (
    <p>
      {instant(from)} – {instant(to)}: {say('breaches')} {overall.breaches}, {say('warned')} {overall.warned},{' '}
      {say('falseAlarms')} {overall.falseAlarms}, {say('leadTime')}{' '}
      {overall.medianLeadSeconds === null ? '-' : duration(overall.medianLeadSeconds * 1000)}
    </p>
  );
}

/** What was said at instants of the window, and what came. */
function PastPredictions({ selector, history }: { selector: string; history: SeriesAnswer | null }) {
  const [answers] = useInstants<ForecastsAnswer>(`/v1/forecasts?series=${encodeURIComponent(selector)}`, pastInstants);
  const points = pointsOf(history);
  const rows = answers.flatMap(({ forecasts: [forecast], horizonSeconds }) =>
    forecast === undefined || forecast.probability === null
      ? []
      : [{ ...forecast, outcome: outcomeOf(points, Date.parse(forecast.time), horizonSeconds, forecast.threshold) }],
  );
  if (rows.length === 0) return null;
  return (
    <Table
      caption={say('said')}
      rows={rows}
      rowKey={({ time }) => time}
      sortedBy="time"
      columns={[
        { key: 'time', title: say('time'), value: ({ time }) => Date.parse(time), show: ({ time }) => instant(time) },
        {
          key: 'likely',
          title: say('likely'),
          value: ({ probability }) => probability,
          show: ({ probability }) => percent(probability),
          isNumber: true,
        },
        { key: 'came', title: say('came'), value: ({ outcome }) => outcome },
        { key: 'why', title: say('why'), value: ({ reason }) => reason },
      ]}
    />
  );
}

const pastInstants = 12;

function outcomeOf(
  points: readonly { time: number; value: number }[],
  time: number,
  seconds: number,
  line: number,
): string {
  const until = time + seconds * 1000;
  const breach = points.find((point) => point.time >= time && point.time <= until && point.value > line);
  if (breach !== undefined) return say('cameAfter', { age: duration(breach.time - time) });
  return (points.at(-1)?.time ?? 0) < until ? say('notYet') : say('didNotCome');
}

function linesOf(
  metric: string,
  history: SeriesAnswer | null,
  steps: SeriesForecastsAnswer['series'][number]['steps'],
) {
  const of = (value: (step: (typeof steps)[number]) => number) =>
    steps.map((step) => ({ time: Date.parse(step.time), value: value(step) }));
  return [
    { label: metric, points: pointsOf(history), color: 0 },
    ...(steps.length === 0
      ? []
      : [
          { label: say('expected'), points: of(({ mean }) => mean.expected), color: 1, isDashed: true },
          { label: say('low'), points: of(({ mean }) => mean.low), color: 1 },
          { label: say('high'), points: of(({ mean }) => mean.high), color: 1 },
        ]),
  ];
}

/** As selectors have it. */
function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
