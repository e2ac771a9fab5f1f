/** Snapshots further apart than this are read by separate queries. */
const binMs = 60_000;

/** Neighbours in time together, so that each query reads one short stretch of the history. */
export function binByTime<T extends { time: number }>(keys: readonly T[]): T[][] {
  const bins: T[][] = [];
  for (const key of [...keys].sort((a, b) => a.time - b.time)) {
    const bin = bins.at(-1);
    if (bin && key.time - (bin[0] as T).time <= binMs) bin.push(key);
    else bins.push([key]);
  }
  return bins;
}
