import { expect, test } from 'vitest';
import { PortableSource, parsePsTime } from '../../src/collector/portable-source.ts';
import { processSourceContract, realClock } from './process-source-contract.ts';

// ps on Linux gives whole seconds of CPU time: over 2.5 s that is coarse.
processSourceContract('portable', () => new PortableSource(realClock), 60);

test.each([
  ['00:05', 5],
  ['1:02.50', 62.5],
  ['01:02:03', 3723],
  ['2-03:04:05', 183_845],
])('ps time %s is %d s', (text, seconds) => expect(parsePsTime(text)).toBe(seconds));
