/** Log odds, within +-9.2: no opinion is surer than one in ten thousand. */
export function logit(probability: number): number {
  const p = Math.min(Math.max(probability, 1e-4), 1 - 1e-4);
  return Math.log(p / (1 - p));
}

export function sigmoid(logOdds: number): number {
  return 1 / (1 + Math.exp(-logOdds));
}

/** A share of `total`, drawn towards `prior` as if that had been seen `weight` times before. */
export function shrunkShare(hits: number, total: number, prior: number, weight: number): number {
  return (hits + prior * weight) / (total + weight);
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
