import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Company } from '../../src/store/company.ts';

/** How many there were when a wait ended, and how long that was. */
async function gathered(company: Company, waiting: () => number): Promise<{ count: number; ms: number }> {
  const begin = performance.now();
  await company.gather(waiting);
  return { count: waiting(), ms: performance.now() - begin };
}

const make = () => new Company(() => performance.now());

test('who comes seldom waits for nobody', async () => {
  const company = make();
  company.arrived();
  await sleep(60);
  company.arrived();
  expect((await gathered(company, () => 1)).ms).toBeLessThan(5);
});

test('of those that keep coming several are gathered, and none waits for long', async () => {
  const company = make();
  let waiting = 0;
  const timer = setInterval(() => {
    company.arrived();
    waiting++;
  }, 6);
  const waits: { count: number; ms: number }[] = [];
  await sleep(40);
  for (let k = 0; k < 20; k++) {
    while (waiting === 0) await sleep(1);
    waits.push(await gathered(company, () => waiting));
    waiting = 0;
  }
  clearInterval(timer);
  expect(Math.max(...waits.map(({ count }) => count))).toBeGreaterThan(2);
  expect(Math.max(...waits.map(({ ms }) => ms))).toBeLessThan(150);
});

test('whoever comes again only once answered is not kept: as many as came lately are all', async () => {
  const company = make();
  const waits: number[] = [];
  // Four that each wait for their answer: they come together, and nobody else does.
  for (let k = 0; k < 33; k++) {
    for (let one = 0; one < 4; one++) company.arrived();
    waits.push((await gathered(company, () => 4)).ms);
    await sleep(12);
  }
  expect(waits.filter((ms) => ms > 3).length).toBeLessThanOrEqual(6);
});
