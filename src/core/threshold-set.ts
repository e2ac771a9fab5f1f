import { labelTest } from './label-test.ts';
import { type Family, familyOf, type Labels, type Series } from './series.ts';
import { quantityOf, type Threshold } from './threshold.ts';

interface Line {
  threshold: Threshold;
  fits: (labels: Labels) => boolean;
}

/** All thresholds. Of several that fit a series the last one given is its line. */
export class ThresholdSet {
  readonly all: readonly Threshold[];
  readonly #byQuantity = new Map<string, Line[]>();

  /** @throws MonitorError `invalid` for a selector with an expression that is none */
  constructor(thresholds: readonly Threshold[]) {
    this.all = thresholds;
    for (const threshold of thresholds) {
      const quantity = quantityOf(threshold.selector.metric);
      const lines = this.#byQuantity.get(quantity) ?? [];
      this.#byQuantity.set(quantity, lines);
      lines.unshift({ threshold, fits: labelTest(threshold.selector) });
    }
  }

  /** Quantities of this family that have a threshold. */
  quantities(family: Family['family']): string[] {
    return [...this.#byQuantity.keys()].filter((quantity) => {
      const [line] = this.#byQuantity.get(quantity) ?? [];
      return line !== undefined && familyOf(line.threshold.selector.metric).family === family;
    });
  }

  /** The line of a quantity with these labels. */
  lineFor(quantity: string, labels: Labels): Threshold | undefined {
    return this.#byQuantity.get(quantity)?.find(({ fits }) => fits(labels))?.threshold;
  }

  /** The line of exactly this series: none where it is on the other column of its quantity, `cpuMax` and not `cpu`. */
  on({ metric, labels }: Series): Threshold | undefined {
    const line = this.lineFor(quantityOf(metric), labels);
    return line?.selector.metric === metric ? line : undefined;
  }
}
