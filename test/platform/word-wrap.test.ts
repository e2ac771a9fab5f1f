import fc from 'fast-check';
import { expect, test } from 'vitest';
import { wordWrap } from '../../src/platform/word-wrap.ts';

test('long lines are broken between words, under where they began', () => {
  const text = 'web-01  java  memory 71.3 %: rising 0.91 %/min, reaches 80.0 % in about 9 min';
  expect(wordWrap(text, 60, 10, '12:00:00  ').split('\n')).toEqual([
    '12:00:00  web-01  java  memory 71.3 %: rising 0.91 %/min,',
    '          reaches 80.0 % in about 9 min',
  ]);
  expect(wordWrap(text, null, 10, '12:00:00  ')).toBe(`12:00:00  ${text}`);
  expect(wordWrap(' A   B\n 1   2\n', 80)).toBe(' A   B\n 1   2\n');
});

test('what takes two columns counts as two, and what colours as none', () => {
  const red = `\x1b[31m${'red '.repeat(14)}\x1b[0mend`;
  expect(wordWrap(red, 60)).toBe(red);
  const lines = wordWrap('監視 '.repeat(40).trim(), 60).split('\n');
  expect(lines.map((line) => line.trim().split(' ').length)).toEqual([11, 11, 11, 7]);
});

test('no word is lost or changed, and no line is longer than the terminal unless a word is', () => {
  const word = fc.stringMatching(/^[a-zäöü0-9.,:%/-]{1,12}$/);
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), fc.integer({ min: 40, max: 200 }), (words, columns) => {
      const wrapped = wordWrap(words.join(' '), columns, 6, '12:00 ');
      expect(wrapped.split(/\s+/).slice(1)).toEqual(words);
      for (const line of wrapped.split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
    }),
  );
});
