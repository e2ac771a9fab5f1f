import type { SeriesShape } from './history.ts';
import { SeriesForecaster } from './series-forecaster.ts';
import type { Side } from './side.ts';
import { mirroredAt } from './side.ts';

/** A series that is to stay on one side of a limit, with its past. */
export interface NewRangeEnd {
  key: string;
  /** As it is called in a reason. */
  metric: string;
  /** On which side of the limit it is out of the range. The limit is the shape's threshold. */
  side: Side;
  shape: SeriesShape;
  /** One value per step, oldest first, NaN where it is missing. */
  past: Float64Array;
}

/** How likely a series is out of the range within the horizon. */
export interface Passing {
  key: string;
  value: number;
  isOut: boolean;
  /** Null: it is out already, or too young. */
  probability: number | null;
  etaSeconds: number | null;
  intervalSeconds: [number, number] | null;
  reason: string;
}

interface Followed extends Omit<NewRangeEnd, 'past'> {
  forecaster: SeriesForecaster;
}

/** Below this nobody asks when and why. */
const leastExplained = 0.05;

/** Follows series towards either end of a range. */
export class RangePool {
  readonly #followed = new Map<string, Followed>();

  add({ past, ...about }: NewRangeEnd): void {
    const forecaster = new SeriesForecaster(about.shape);
    const followed = { ...about, forecaster };
    for (const value of past) forecaster.learn(lookedAt(followed, value));
    this.#followed.set(about.key, followed);
  }

  remove(key: string): void {
    this.#followed.delete(key);
  }

  /** Of those that have a value in the step. Others take it as missing. */
  step(values: ReadonlyMap<string, number>): Passing[] {
    return [...this.#followed.values()].flatMap((each) => stepOf(each, values.get(each.key) ?? Number.NaN) ?? []);
  }
}

function stepOf(followed: Followed, value: number): Passing | null {
  const { key, metric, side, forecaster } = followed;
  const probability = forecaster.next(lookedAt(followed, value));
  if (Number.isNaN(value)) return null;
  const isOut = forecaster.history.isBreach;
  const isTold = probability !== null && probability >= leastExplained;
  const story = isTold ? forecaster.explain(metric, probability, side) : silence;
  return { key, value, isOut, probability, ...story };
}

const silence = { etaSeconds: null, intervalSeconds: null, reason: '' };

/** The forecaster looks up: what goes down it sees in a mirror. */
function lookedAt({ side, shape }: Followed, value: number): number | null {
  if (Number.isNaN(value)) return null;
  return side === 'above' ? value : mirroredAt(shape.threshold, value);
}
