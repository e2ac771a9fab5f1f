import type { Expert } from '../expert.ts';
import type { History } from '../history.ts';
import { lineThrough } from '../line.ts';
import { PathErrors } from '../path-errors.ts';
import { clamp } from '../probability.ts';

const widths = [10, 30, 60, 150];
/** The width whose errors are learnt. */
const mainWidth = 30;

/** A straight line through the last 30 values with its own past errors, and the slopes of shorter and longer ones. */
export class RegressionLine implements Expert {
  readonly opinions = ['line700'];
  readonly signals = widths.flatMap((width) => [`lineGap${width}`, `lineSlope${width}`, `lineFit${width}`]);
  readonly #errors = new PathErrors();

  next(history: History, probabilities: number[], signals: number[]): void {
    const { threshold, horizonSteps } = history.shape;
    const scale = history.stepSpread60 * Math.sqrt(horizonSteps);
    for (const width of widths) {
      const { end, slope, residual } = lineThrough(history.values, width);
      const ahead = end + slope * horizonSteps;
      signals.push(clamp((threshold - ahead) / scale, -10, 15), clamp((slope * horizonSteps) / scale, -8, 8));
      // How much of the spread the slope explains: near 1 for a leak, near 0 for noise.
      signals.push(clamp((slope * width) / (Math.abs(slope) * width + 4 * residual + 1e-6), -1, 1));
      if (width === mainWidth) {
        const expectedMax = Math.max(end, ahead);
        this.#errors.next(history, expectedMax);
        probabilities.push(this.#errors.exceeding(threshold - expectedMax, 700));
      }
    }
  }
}
