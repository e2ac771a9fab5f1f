/** The horizon is always so many steps: what the model was trained on lies between 5 and 12. */
export const horizonSteps = 10;
/** Steps of the past a series starts with; at one minute a day. */
export const pastSteps = 1440;
/** A share of a step for the last snapshots of it to arrive. */
const settleShare = 1 / 20;

/** The end of the newest step that is over. */
export function newestStep(now: number, stepMs: number): number {
  return Math.floor((now - stepMs * settleShare) / stepMs) * stepMs;
}
