import { expect, test } from 'vitest';
import { simulate } from '../torture/simulation.ts';

const seeds = Number(process.env.AMBERWATCH_TEST_SIMULATION_SEEDS ?? 2000);
/** Seeds that have found something, so that it stays mended: see docs/RELIABILITY.md. */
const regressionSeeds = [11, 74, 87, 127, 129];

test(`${seeds} simulated hours of trouble lose nothing, and the accounts are exact`, { timeout: 600_000 }, async () => {
  let [taken, kills] = [0, 0];
  for (const seed of new Set([...regressionSeeds, ...Array.from({ length: seeds }, (_, i) => i + 1)])) {
    const simulated = await simulate(seed);
    expect(simulated.problem, `seed ${seed}`).toBeNull();
    taken += simulated.taken;
    kills += simulated.kills;
  }
  expect(taken).toBeGreaterThan(seeds * 100);
  expect(kills).toBeGreaterThan(seeds);
});
