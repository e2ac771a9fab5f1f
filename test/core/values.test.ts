import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../src/core/duration.ts';
import { formatThreshold, parseThreshold, withDefaults } from '../../src/core/threshold.ts';
import { canonicalIp } from '../../src/platform/ip.ts';
import { terminalText } from '../../src/platform/terminal-text.ts';

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
  ])('%s', (text, expected) => expect(parseDuration(text, 'x')).toBe(expected));

  test.each(['', '10', '-5s', '0s', '5 parsecs', '1e3s', 's'])(
    '%j is none, and the sentence says how to write one',
    (text) => {
      expect(() => parseDuration(text, 'interval')).toThrow(/^interval '.*' is not a duration; write it like 10s/);
    },
  );

  test('are written in their two largest units, and never as more than they are', () =>
    expect([0, 400, 1500, 10_000, 300_000, 90_000, 5_400_000, 129_600_000, 172_800_000].map(formatDuration)).toEqual([
      '0ms',
      '400ms',
      '1s',
      '10s',
      '5m',
      '1m 30s',
      '1h 30m',
      '1d 12h',
      '2d',
    ]));
});

describe('IP addresses', () => {
  test.each([
    ['216.58.213.68', '216.58.213.68'],
    ['216-58-213-68', '216.58.213.68'],
    ['::ffff:10.0.0.5', '10.0.0.5'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001-db8--1', '2001:db8::1'],
    ['--1', '::1'],
    ['1.2.3', null],
    ['1.2.3.256', null],
    ['08.8.8.8', null],
    ['0x7f.0.0.1', null],
    ['web-01', null],
    ['', null],
    ["1.2.3.4' OR ''='", null],
  ])('%s -> %s', (text, expected) => expect(canonicalIp(text)).toBe(expected));
});

describe('thresholds', () => {
  test('short and long form', () => {
    expect(parseThreshold('cpu=90')).toEqual({
      selector: { metric: 'process_cpu_max', matchers: [] },
      metric: 'cpu',
      red: 90,
      clear: 85,
      forMs: 0,
      holdMs: 30_000,
      of: 'largest',
      basis: 'core',
    });
    expect(parseThreshold('memory: red=70, clear=60,for=30s,hold=2m,of=group,basis=host')).toEqual({
      selector: { metric: 'process_memory', matchers: [] },
      metric: 'memory',
      red: 70,
      clear: 60,
      forMs: 30_000,
      holdMs: 120_000,
      of: 'group',
      basis: 'host',
    });
  });

  test.each([
    'cpu',
    'gpu=80',
    'cpu=',
    'cpu=high',
    'cpu=-1',
    'cpu:red=80,clear=81',
    'cpu:for=5',
    'cpu:of=all',
    'cpu:colour=red',
    'cpu:red',
    'cpu:hold=2h',
    'cpu:hold=soon',
    'memory=120',
    'system.cpu=101',
    'cpu:red=150,basis=host',
  ])('%s is refused with a sentence', (text) => expect(() => parseThreshold(text)).toThrow(/threshold/));

  test('RED ends a little under the line', () => {
    expect([80, 20, 800, 100].map((red) => parseThreshold(`cpu=${red}`).clear)).toEqual([75, 18, 795, 95]);
  });

  test('what can be over 100 % may be', () => {
    for (const text of [
      'cpu=400',
      'cpu:red=150,of=group,basis=host',
      'memory:red=120,of=group',
      'memory=100',
      'system.load1=200',
    ])
      expect(() => parseThreshold(text)).not.toThrow();
  });

  test('are written as they are read', () => {
    for (const text of [
      'cpu:red=90',
      'cpu:red=90,hold=0',
      'memory:red=50,clear=40,hold=5m',
      'system.disk:red=95,clear=85,for=5m',
      'memory:red=1,of=group,basis=host',
    ]) {
      expect(formatThreshold(parseThreshold(text))).toBe(text);
    }
  });

  test('those given replace the default of the same metric', () => {
    const metrics = withDefaults([parseThreshold('cpu=50'), parseThreshold('system.disk=95')]);
    expect(metrics.map(formatThreshold)).toEqual([
      'cpu:red=50',
      'memory:red=80',
      'system.cpu:red=80',
      'system.memory:red=80',
      'system.disk:red=95',
    ]);
  });
});

describe('text for a terminal', () => {
  test.each([
    ['nginx: worker', 'nginx: worker'],
    ['日本語 🐢', '日本語 🐢'],
    ['\u001b[31mred', '\\x1b[31mred'],
    ['a\r\nb\tc\u0008', 'a\\x0d\\x0ab\\x09c\\x08'],
    ['\u009b2J', '\\x9b2J'],
    ['\u202Eevil', '\\u{202e}evil'],
    ['\u{e0041}', '\\u{e0041}'],
  ])('%j', (text, expected) => expect(terminalText(text)).toBe(expected));

  test('is cut to its width', () => expect(terminalText('x'.repeat(100), 10)).toBe(`${'x'.repeat(9)}…`));

  test('holds no control character, whatever comes', () => {
    const anything = fc.string({ unit: 'binary', maxLength: 80 });
    const nasty = fc.array(
      fc.constantFrom('\u001b', '\u009b', '\u0007', '\r', '\n', '\u202e', '\u2028', '\ud800', ']52;c;', 'a'),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          anything,
          nasty.map((parts) => parts.join('')),
        ),
        (text) => {
          expect(terminalText(text, 1000)).not.toMatch(/[\p{Cc}\p{Cs}\u200b-\u200f\u2028-\u202e\u2066-\u2069]/u);
        },
      ),
      { numRuns: 20_000 },
    );
  });
});
