import Type, { type Static } from 'typebox';

/**
 * What the older SLA manager's three services answered, as its clients know it: rows of its tables, with their ids,
 * between lines that say what follows; instants as text.
 */

export const olderDurations = ['1h', '3h', '12h'] as const;
export type OlderDuration = (typeof olderDurations)[number];

/** `{"cpuLoad": [0, 1.5]}`: the range of each metric. */
export const olderSlaBodySchema = Type.Record(
  Type.String(),
  Type.Array(Type.Unsafe<number | null>({ type: ['number', 'null'] })),
  { minProperties: 1, maxProperties: 50 },
);
export type OlderSlaBody = Static<typeof olderSlaBodySchema>;

/** `{"Metrica1": "diskUsage"}`: what is to be forecast; none: all. */
export const olderForecastingBodySchema = Type.Record(Type.String(), Type.String({ minLength: 1, maxLength: 200 }), {
  maxProperties: 50,
});

/** What is known of a series over a duration. */
export interface OlderSeries {
  metric: string;
  duration: OlderDuration;
  max: number;
  min: number;
  mean: number;
  /** Of a sample, as pandas has it. */
  deviation: number;
  /** From lag 1 on. */
  autocorrelation: readonly number[];
  stationarity: OlderStationarity | null;
  seasonal: readonly number[];
  /** Null: not forecast. */
  paths: { max: OlderPath; min: OlderPath; mean: OlderPath } | null;
  /** Seconds that each part took. */
  took: { metrics: number; metadata: number; prediction: number };
}

interface OlderStationarity {
  statistic: number;
  pValue: number;
  lags: number;
  critical: Record<string, number>;
}

/** Expected values, with the time at which each step begins. */
export type OlderPath = readonly { time: number; value: number }[];

type Row = (string | number)[];

/** `/metrics/metric/NAME` */
export function olderMetricRows(series: readonly OlderSeries[]): (string | Row)[] {
  const rows = series.map(
    ({ metric, max, min, mean, deviation, duration }): Row => [
      metric,
      ...[max, min, mean, deviation].map((value) => rounded(value, 2)),
      duration,
    ],
  );
  return ['MAX, MIN, MEAN, DEV_STD', ...numbered(rows)];
}

/** `/metrics/metadati/NAME` */
export function olderMetadataRows(series: readonly OlderSeries[]): (string | Row)[] {
  const valueRows = (values: (each: OlderSeries) => readonly number[]) =>
    numbered(series.flatMap((each) => values(each).map((value) => [each.metric, rounded(value, 4), each.duration])));
  const stationarity = series.flatMap(({ metric, duration, stationarity }): Row[] =>
    stationarity === null
      ? []
      : [[metric, String(stationarity.pValue), criticalText(stationarity), duration, stationarity.statistic]],
  );
  return [
    'Autocorrelazione',
    ...valueRows(({ autocorrelation }) => autocorrelation),
    'Stazionarietà',
    ...numbered(stationarity),
    'Stagionalità',
    ...valueRows(({ seasonal }) => seasonal),
  ];
}

/** `/metrics/forecasting/NAME` */
export function olderForecastRows(series: readonly OlderSeries[]): (string | Row)[] {
  return (['max', 'min', 'mean'] as const).flatMap((of) => {
    const rows = series.flatMap(({ metric, duration, paths }) =>
      (paths?.[of] ?? []).map(({ time, value }): Row => [metric, pandasTime(time), String(value), duration]),
    );
    return [`PREDICTION_${of.toUpperCase()}`, ...numbered(rows)];
  });
}

/** An entry of `/all_data`; its lists are JSON in JSON. */
export function olderData({ metric, duration, max, min, mean, deviation, ...rest }: OlderSeries) {
  const { autocorrelation, stationarity, seasonal, paths } = rest;
  const pathText = (path: OlderPath = []) =>
    JSON.stringify(path.flatMap(({ time, value }) => [pandasTime(time), String(value)]));
  return {
    Metric: {
      name: metric,
      duration,
      max: rounded(max, 2),
      min: rounded(min, 2),
      mean: rounded(mean, 2),
      std: rounded(deviation, 2),
    },
    Metadati: {
      duration,
      Autocorrelation: JSON.stringify(autocorrelation),
      Stazionarietà: JSON.stringify(stationarity === null ? [] : adfullerTuple(stationarity)),
      Stagionalità: JSON.stringify(seasonal),
    },
    Predizione: {
      duration,
      Prediction_Max: pathText(paths?.max),
      Prediction_Min: pathText(paths?.min),
      Prediction_Mean: pathText(paths?.mean),
    },
  };
}

/** An entry of `/metrics/1h`: how long it took to compute all that. */
export function olderTimes({ metric, duration, took }: OlderSeries) {
  const seconds = (value: number) => ({ 'Computation Time (s)': rounded(value, 4) });
  return {
    'Generate Metadati': seconds(took.metadata),
    'Generate Prediction': seconds(took.prediction),
    'Generating Metrics': { 'Metric Name': metric, ...seconds(took.metrics), Timing: duration },
  };
}

export interface OlderViolation {
  metric: string;
  time: number;
  value: number;
  duration: OlderDuration;
}

/** An entry of `/get_Violations`. */
export function olderViolation({ duration, ...violation }: OlderViolation) {
  return { ...olderPrediction(violation), Duration: duration };
}

/** An entry of `/get_SLA_pred`. */
export function olderPrediction({ metric, time, value }: Omit<OlderViolation, 'duration'>) {
  // As Flask writes a date in JSON.
  return { Metrica: metric, Timestamp: new Date(time).toUTCString(), Valore: value };
}

/** `/get_Violations_Num` */
export function olderCounts(violations: readonly OlderViolation[]) {
  const count = (of: OlderDuration) => violations.filter(({ duration }) => duration === of).length;
  return {
    "Violazioni in un'ora": count('1h'),
    'Violazioni in tre ore:': count('3h'),
    'Violazioni in dodici ore:': count('12h'),
  };
}

/** An entry of `/get_SLA_status`. */
export function olderStatus(metric: string, violations: readonly OlderViolation[]) {
  return { Metric: metric, ...olderCounts(violations.filter((violation) => violation.metric === metric)) };
}

/** An entry of `/get_SLA_pred_status`. */
export function olderPredictionStatus(metric: string, predicted: number) {
  return { Metric: metric, 'Violazioni possibili in 10 minuti': predicted };
}

function numbered(rows: readonly Row[]): Row[] {
  return rows.map((row, index) => [index + 1, ...row]);
}

function rounded(value: number, places: number): number {
  return Number(value.toFixed(places));
}

/** In the places of statsmodels' adfuller; of how many observations is not told. */
function adfullerTuple({ statistic, pValue, lags, critical }: OlderStationarity) {
  return [statistic, pValue, lags, null, critical];
}

/** As Python writes a dictionary. */
function criticalText({ critical }: OlderStationarity): string {
  return `{${Object.entries(critical)
    .map(([level, value]) => `'${level}': ${value}`)
    .join(', ')}}`;
}

/** As pandas writes an instant: UTC, without a zone. */
function pandasTime(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replace('T', ' ');
}
