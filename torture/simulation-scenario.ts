import { type Scenario, scaled } from './scenario.ts';
import { simulate } from './simulation.ts';

/** Others than those of every test run. */
const firstSeed = 1_000_001;

export const simulation: Scenario = {
  name: 'simulation',
  behaviour: 'simulated kills, power cuts, lost messages and clock jumps lose nothing',
  async run(scale) {
    const seeds = scaled(2000, scale);
    const problems: string[] = [];
    let taken = 0;
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      const simulated = await simulate(seed);
      taken += simulated.taken;
      if (simulated.problem !== null) problems.push(`seed ${seed}: ${simulated.problem}`);
    }
    return [
      {
        promise: 'simulated kills, power cuts, full disks, lost and repeated messages, clock jumps: nothing lost',
        figure: `${seeds} seeds, ${taken} snapshots: ${problems.length === 0 ? '0 lost, accounts exact' : problems.slice(0, 3).join('; ')}`,
        holds: problems.length === 0,
      },
    ];
  },
};
