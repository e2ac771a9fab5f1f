import { ReadLane } from '../core/read-lane.ts';
import type { Reading, TimeWindow } from '../core/store.ts';

/** A read of a longer window is heavy. */
const heavyMs = 6 * 3_600_000;

/** How many reads an engine that is asked over a network has at a time, by how much they cost it. */
export class ReadLanes {
  readonly #light = new ReadLane(8, 200);
  readonly #heavy = new ReadLane(2, 32);

  /** @param window which it looks at */
  run<T>(ask: () => Promise<T>, { signal, lane }: Reading, { from, to }: TimeWindow): Promise<T> {
    if (lane === 'present') return ask();
    const isHeavy = lane === 'background' || to - from > heavyMs;
    return (isHeavy ? this.#heavy : this.#light).run(ask, signal, lane === 'background');
  }
}
