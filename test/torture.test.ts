import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { scenarios } from '../torture/scenarios.ts';

/** These have tests of their own: simulation.test.ts, store/clickhouse-cluster.test.ts, store/move.test.ts. */
const elsewhere = ['simulation', 'cluster', 'move-kills'];
/** Half a minute or more of every test run however small it is: with `npm run torture` alone. */
const tooLong = ['mapped-usage', 'slow-sockets'];
/** How much of the rest every test run does: some minutes of an hour and a quarter. */
const scales: Record<string, number> = {
  'real-outage': 0.05,
  'long-outage': 0.05,
  backlog: 0.05,
  'server-kills': 0.012,
  'collector-kills': 0.012,
  'alerter-kills': 0.05,
  'agent-sockets': 0.1,
  'hostile-bodies': 0.02,
  'dropped-replies': 0.05,
};
const mayMount = spawnSync('unshare', ['-rm', 'true']).status === 0;

describe('the promises of docs/RELIABILITY.md, in small: npm run torture shows them whole', () => {
  for (const scenario of scenarios.filter(({ name }) => ![...elsewhere, ...tooLong].includes(name))) {
    const canRun = mayMount || scenario.name !== 'full-disk';
    test.skipIf(!canRun)(`${scenario.name}: ${scenario.behaviour}`, { timeout: 180_000 }, async () => {
      const verdicts = await scenario.run(scales[scenario.name] ?? 0.02);
      for (const { promise, figure, holds } of verdicts) expect(holds, `${promise}: ${figure}`).toBe(true);
    });
  }
});
