import { describe, expect, test } from 'vitest';
import { AgreedRecord } from '../../src/core/agreement.ts';
import { isInShare, shareProblem } from '../../src/core/server-role.ts';
import { AgreementsInMemory } from '../agreements-in-memory.ts';

describe('shares of watchers', () => {
  test.each([2, 3, 7])('of %i each host is in exactly one, and none has far more than its part', (of) => {
    const hosts = Array.from({ length: 3000 }, (_, k) => `web-${k}.example.org`);
    const shares = hosts.map((host) =>
      Array.from({ length: of }, (_, at) => isInShare(host, { index: at + 1, of })).flatMap((is, at) =>
        is ? [at] : [],
      ),
    );
    expect(shares.every((own) => own.length === 1)).toBe(true);
    for (let at = 0; at < of; at++) {
      const part = shares.filter(([own]) => own === at).length / (hosts.length / of);
      expect(part).toBeGreaterThan(0.85);
      expect(part).toBeLessThan(1.15);
    }
  });

  test.each([
    [[[1, 1]], null],
    [
      [
        [2, 2],
        [1, 2],
      ],
      null,
    ],
    [[], /nobody forecasts/],
    [
      [
        [1, 3],
        [3, 3],
      ],
      /nobody watches share 2\/3/,
    ],
    [
      [
        [1, 2],
        [2, 2],
        [2, 2],
      ],
      /share 2\/2 is watched by more than one/,
    ],
    [
      [
        [1, 2],
        [1, 3],
      ],
      /divide the hosts differently \(1\/2, 1\/3\)/,
    ],
  ] as const)('%j', (shares, problem) => {
    const said = shareProblem(shares.map(([index, of]) => ({ index, of })));
    if (problem === null) expect(said).toBeNull();
    else expect(said).toMatch(problem);
  });
});

describe('what servers agree on', () => {
  test('a server whose clock is behind is heard all the same, and writes only what it has changed', async () => {
    const agreements = new AgreementsInMemory();
    const [ahead, behind] = [60_000, 0].map(
      (off) => new AgreedRecord<number>(agreements, 'forgotten', () => 1e12 + off),
    );
    await ahead?.keep({ a: 1, b: 2 });
    const read = (await behind?.read()) ?? {};
    expect(read).toEqual({ a: 1, b: 2 });
    await ahead?.keep({ a: 1, b: 3 });
    await behind?.keep({ ...read, a: 7 });
    // The change of b by the other one stands: only a was written.
    expect(await ahead?.read()).toEqual({ a: 7, b: 3 });
    await behind?.read();
    await behind?.keep({ b: 3 });
    expect(await ahead?.read()).toEqual({ b: 3 });
  });
});
