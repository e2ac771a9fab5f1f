import { findPeriod } from '../statistics/period.ts';

/** What is expected of the next steps, and between what eight in ten values lie. */
export interface PathForecast {
  expected: number[];
  low: number[];
  high: number[];
  /** How often the rule of each step has been judged: a band from few errors holds less than it says. */
  judged: number[];
}

/** Values before there is anything to say. */
export const leastValues = 30;
const eightInTen = 0.8;
/** Rules are judged by what they would have said at so many steps of the past. */
const judged = 300;
/** An error counts half after so many steps. */
const halfLife = 120;

/** Says where a series is so many steps after `at`, by what was known then. */
type Rule = (values: Float64Array, at: number, lead: number, period: number) => number;

const rules: readonly Rule[] = [
  last,
  ...[5, 15, 60].map(
    (width): Rule =>
      (values, at) =>
        meanOf(values, at, width),
  ),
  ...[10, 30].map(
    (width): Rule =>
      (values, at, lead) =>
        lineOf(values, at, width, lead),
  ),
  ...[0.5, 1].map(
    (share): Rule =>
      (values, at, lead, period) =>
        seasonal(values, at, lead, period, share),
  ),
];

/**
 * For each of the next steps by the rule that has erred least of late at just that lead, with a band from what this
 * rule got wrong: split conformal prediction (Vovk et al. 2005), newer errors counting more.
 * @param values one per step, without holes, `leastValues` at least
 */
export function forecastPath(values: Float64Array, steps: number): PathForecast {
  const path: PathForecast = { expected: [], low: [], high: [], judged: [] };
  const period = findPeriod(values).steps;
  for (let lead = 1; lead <= steps; lead++) {
    const { rule, errors } = bestRule(values, lead, period);
    const expected = rule(values, values.length - 1, lead, period);
    path.expected.push(expected + quantile(errors, 0.5));
    // The one value to come counts as one error more.
    const beyond = (1 - eightInTen) / 2 - (1 + eightInTen) / 2 / sizeOf(errors);
    path.low.push(expected + quantile(errors, beyond));
    path.high.push(expected + quantile(errors, 1 - beyond));
    path.judged.push(errors.length);
  }
  return path;
}

/** What a rule got wrong, and how much that counts. */
interface Erring {
  error: number;
  weight: number;
}

function bestRule(values: Float64Array, lead: number, period: number): { rule: Rule; errors: Erring[] } {
  let best = { rule: last as Rule, errors: [] as Erring[], loss: Number.POSITIVE_INFINITY };
  for (const rule of rules) {
    const errors: Erring[] = [];
    let loss = 0;
    const from = Math.max(leastValues / 3, values.length - 1 - lead - judged);
    for (let at = from; at + lead < values.length; at++) {
      const error = (values[at + lead] as number) - rule(values, at, lead, period);
      const weight = 0.5 ** ((values.length - 1 - lead - at) / halfLife);
      errors.push({ error, weight });
      loss += weight * Math.abs(error);
    }
    if (loss < best.loss) best = { rule, errors, loss };
  }
  return best;
}

function last(values: Float64Array, at: number): number {
  return values[at] as number;
}

function meanOf(values: Float64Array, at: number, width: number): number {
  const from = Math.max(0, at - width + 1);
  let sum = 0;
  for (let k = from; k <= at; k++) sum += values[k] as number;
  return sum / (at - from + 1);
}

/** Least squares through the last values. */
function lineOf(values: Float64Array, at: number, width: number, lead: number): number {
  const from = Math.max(0, at - width + 1);
  const middle = (from + at) / 2;
  let [products, squares] = [0, 0];
  for (let k = from; k <= at; k++) {
    products += (k - middle) * (values[k] as number);
    squares += (k - middle) ** 2;
  }
  return meanOf(values, at, width) + (squares === 0 ? 0 : (products / squares) * (at - middle + lead));
}

/** As it was at this point of the last three periods, and as much of how it differs from then as `share`. */
function seasonal(values: Float64Array, at: number, lead: number, period: number, share: number): number {
  const now = values[at] as number;
  if (period === 0 || at < period) return now;
  const then = at + lead - period * Math.ceil(lead / period);
  return ofPeriods(values, then, period) + share * (now - ofPeriods(values, at - period, period));
}

/** The median: what happened once comes not again. */
function ofPeriods(values: Float64Array, at: number, period: number): number {
  const [a, b = a, c] = [at, at - period, at - 2 * period].filter((index) => index >= 0).map((index) => values[index]);
  if (a === undefined || b === undefined) return values[Math.max(0, at)] as number;
  return c === undefined ? (a + b) / 2 : Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/** So many errors of one weight say as much (Kish 1965). */
function sizeOf(errors: readonly Erring[]): number {
  const sum = errors.reduce((total, { weight }) => total + weight, 0);
  const squares = errors.reduce((total, { weight }) => total + weight ** 2, 0);
  return Math.max(1, squares === 0 ? 1 : sum ** 2 / squares);
}

/** The value below which this share of the weight lies. */
function quantile(errors: readonly Erring[], share: number): number {
  const sorted = errors.toSorted((a, b) => a.error - b.error);
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  let below = 0;
  for (const { error, weight } of sorted) {
    below += weight;
    if (below >= share * total) return error;
  }
  return sorted.at(-1)?.error ?? 0;
}
