import type { Expert } from '../expert.ts';
import type { History } from '../history.ts';
import { PathErrors } from '../path-errors.ts';

/** From where it is: how often has the series risen by as much within a horizon? */
export class Increments implements Expert {
  readonly opinions = ['increments120', 'increments700'];
  readonly signals = [];
  readonly #errors = new PathErrors();

  next(history: History, probabilities: number[]): void {
    this.#errors.next(history, history.value);
    const gap = history.shape.threshold - history.value;
    probabilities.push(this.#errors.exceeding(gap, 120), this.#errors.exceeding(gap, 700));
  }
}
