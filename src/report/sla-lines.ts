import { formatDuration } from '../core/duration.ts';
import { formatUnit } from '../core/format-value.ts';
import { unitOfSeries } from '../core/series.ts';
import { clockTime } from '../platform/clock-time.ts';
import { plainTable } from '../platform/plain-table.ts';
import { terminalText } from '../platform/terminal-text.ts';
import type { SlaPredictionsAnswer, SlaStatusAnswer, SlasAnswer, ViolationsAnswer } from '../wire/sla.ts';

const none = `there are no SLAs; define one: PUT /v1/slas/{id} with selector, objective, and max, min or both`;

/** The answer of /v1/slas as a table. */
export function slaLines({ slas }: SlasAnswer): string[] {
  if (slas.length === 0) return [none];
  const rows = slas.map(({ id, selector, min, max, objective, versions }) => [
    id,
    terminalText(selector, 60),
    rangeText(selector, min, max),
    `${objective} %`,
    versions.length === 1 ? '-' : `${versions.length - 1} before`,
  ]);
  return plainTable(['SLA', 'SERIES', 'RANGE', 'OBJECTIVE', 'CHANGED'], rows);
}

function rangeText(selector: string, min: number | null, max: number | null): string {
  const text = (value: number) => valueText(selector, value);
  if (min === null) return max === null ? 'any' : `at most ${text(max)}`;
  return max === null ? `at least ${text(min)}` : `${text(min)} to ${text(max)}`;
}

/** The answer of /v1/slas/status: a line for each window of each. */
export function slaStatusLines({ slas }: SlaStatusAnswer): string[] {
  if (slas.length === 0) return [none];
  const rows = slas.flatMap(({ id, objective, violated, windows }) =>
    windows.map((window, index) => [
      index === 0 ? id : '',
      index === 0 ? stateText(violated) : '',
      window.window,
      metText(window.met),
      window.compliance === null ? '-' : `${floored(window.compliance)} of ${objective} %`,
      window.violations,
      window.violatedSeconds === 0 ? '-' : secondsText(window.violatedSeconds),
      `${Math.floor(window.coverage * 100)} %`,
      budgetText(window.budgetLeftSeconds),
      window.budgetUsedUpAt === null ? 'never' : clockTime(Date.parse(window.budgetUsedUpAt)),
    ]),
  );
  const head = [
    'SLA',
    'NOW',
    'WINDOW',
    'OBJECTIVE',
    'KEPT',
    'VIOLATIONS',
    'IN VIOLATION',
    'KNOWN',
    'BUDGET LEFT',
    'USED UP',
  ];
  const problems = slas.flatMap(({ id, problem }) =>
    problem === null ? [] : [`${id}: ${terminalText(problem, 500)}`],
  );
  return [...(rows.length === 0 ? [] : plainTable(head, rows)), ...problems];
}

/** Never rounded up to an objective. */
function floored(percent: number): string {
  return (Math.floor(percent * 100) / 100).toFixed(2);
}

function stateText(violated: boolean | null): string {
  return violated === null ? 'unknown' : violated ? 'VIOLATED' : 'ok';
}

function metText(met: boolean | null): string {
  return met === null ? 'unknown' : met ? 'met' : 'NOT MET';
}

function secondsText(seconds: number): string {
  return formatDuration(seconds < 10 ? Math.round(seconds * 1000) : Math.round(seconds) * 1000);
}

function budgetText(seconds: number): string {
  return seconds < 0 ? `${secondsText(-seconds)} too much` : secondsText(seconds);
}

/** The answer of /v1/slas/{id}/violations as a table. */
export function violationLines({ id, from, to, violations }: ViolationsAnswer): string[] {
  const span = `${clockTime(Date.parse(from))} to ${clockTime(Date.parse(to))}`;
  if (violations.length === 0) return [`${id} was kept from ${span}, as far as anything is known`];
  const rows = violations.map(({ series, from: began, to: ended, durationSeconds, side, worst }) => [
    clockTime(Date.parse(began)),
    ended === to ? 'now' : clockTime(Date.parse(ended)),
    secondsText(durationSeconds),
    side,
    valueText(series, worst),
    terminalText(series, 100),
  ]);
  return plainTable(['FROM', 'TO', 'FOR', 'SIDE', 'WORST', 'SERIES'], rows);
}

/** The answer of /v1/slas/{id}/predictions as a table, and what it means for the budgets. */
export function predictionLines(answer: SlaPredictionsAnswer): string[] {
  const { id, at, problem, predictions, budgets, horizonSeconds } = answer;
  if (at === null)
    return [`nothing is predicted of ${id} yet; the first comes within ${formatDuration(horizonSeconds * 100)}`];
  const why = problem === null ? [] : [`${id}: ${terminalText(problem, 500)}`];
  if (predictions.length === 0) return problem === null ? [`no series of ${id} has a value now`] : why;
  const rows = predictions.map(({ series, side, limit, value, violated, probability, etaSeconds }) => [
    violated ? 'now' : probability === null ? 'too young' : `${Math.round(probability * 100)} %`,
    etaSeconds === null ? '-' : secondsText(etaSeconds),
    side,
    valueText(series, limit),
    valueText(series, value),
    terminalText(series, 100),
  ]);
  const risks = budgets
    .filter(({ probability }) => probability >= 0.01)
    .map(({ window, probability, reason }) => {
      const risk = `${window} budget used up within ${formatDuration(horizonSeconds * 1000)}: ${Math.round(probability * 100)} %`;
      return terminalText(`${risk}; ${reason}`, 500);
    });
  return [...why, ...plainTable(['LIKELY', 'IN ABOUT', 'SIDE', 'LIMIT', 'VALUE', 'SERIES'], rows), ...risks];
}

function valueText(selector: string, value: number): string {
  return formatUnit(unitOfSeries(/^[^{]*/.exec(selector)?.[0].trim() ?? ''), value);
}
