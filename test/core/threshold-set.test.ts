import { describe, expect, test } from 'vitest';
import { hostSeries, processSeries } from '../../src/core/series.ts';
import { formatThreshold, parseThreshold, withDefaults } from '../../src/core/threshold.ts';
import { ThresholdSet } from '../../src/core/threshold-set.ts';

const linesOf = (...texts: string[]) => new ThresholdSet(withDefaults(texts.map(parseThreshold)));
const redOf = (lines: ThresholdSet, ...[column, host, process]: Parameters<typeof processSeries>) =>
  lines.on(processSeries(column, host, process))?.red;

describe('the line of a series', () => {
  test('is the last that fits it', () => {
    const lines = linesOf(
      'process_cpu_max{process="java"}=300',
      'cpu=90',
      'process_cpu_max{host=~"db-.*",process="java"}=400',
    );
    expect(redOf(lines, 'cpuMax', 'web-01', 'nginx')).toBe(90);
    expect(redOf(lines, 'cpuMax', 'web-01', 'java')).toBe(300);
    expect(redOf(lines, 'cpuMax', 'db-7', 'java')).toBe(400);
    expect(redOf(lines, 'cpuMax', 'old-db-7', 'java')).toBe(300);
  });

  test('one on all of a name takes the place of that on its largest instance', () => {
    const lines = linesOf('process_cpu{process="java"}=700');
    expect(redOf(lines, 'cpu', 'a', 'java')).toBe(700);
    expect(redOf(lines, 'cpuMax', 'a', 'java')).toBeUndefined();
    expect(redOf(lines, 'cpuMax', 'a', 'other')).toBe(80);
    expect(redOf(lines, 'cpu', 'a', 'other')).toBeUndefined();
  });

  test('of hosts and of other sources', () => {
    const lines = linesOf('system_disk{host="a"}=95', 'queue{queue!="test"}:red=10,clear=5', 'queue{queue="mail"}=20');
    expect(lines.on(hostSeries('system.disk', 'a'))?.red).toBe(95);
    expect(lines.on(hostSeries('system.disk', 'b'))).toBeUndefined();
    expect(lines.on({ metric: 'queue', labels: { queue: 'mail' } })?.red).toBe(20);
    expect(lines.on({ metric: 'queue', labels: {} })?.red).toBe(10);
    expect(lines.on({ metric: 'queue', labels: { queue: 'test' } })).toBeUndefined();
    expect(lines.quantities('metric')).toEqual(['queue']);
  });

  test('an expression that is none is refused as the server starts', () =>
    expect(() => linesOf('process_cpu{process=~"("}=80')).toThrow(/cannot be read/));
});

describe('thresholds with selectors', () => {
  test.each([
    'process_cpu_max{host="web-01",process=~"java.*"}:red=95',
    'process_memory{}:red=90,for=30s',
    'system_cpu{host!="a"}:red=80,clear=60',
    'queue_length{}:red=1000,hold=0',
    'cpu:rate5m{}:red=5',
    'a:b{x="=:,{}\\""}:red=1',
    'threads:red=500',
    'cpu:red=90,of=group,basis=host',
  ])('%s is written as it is read', (text) => {
    const threshold = parseThreshold(text);
    expect(parseThreshold(formatThreshold(threshold))).toEqual(threshold);
  });

  test('a word is short for a series', () => {
    expect(parseThreshold('process_cpu_max=90')).toEqual(parseThreshold('cpu=90'));
    expect(parseThreshold('process_cpu{}:red=90')).toEqual(parseThreshold('cpu:red=90,of=group'));
    expect(parseThreshold('system_load1=8')).toEqual(parseThreshold('system.load1=8'));
    expect(parseThreshold('threads=8')).toEqual(parseThreshold('process_threads=8'));
  });

  test.each([
    ['queue_length=5', /names no known metric.*or a selector with braces/],
    ['cpuu=80', /names no known metric/],
    ['queue{}:red=5,basis=host', /only cpu can have basis=/],
    ['cpu=80,hold=2s', /before options stands a colon; write cpu:red=80,hold=2s/],
    ['queue{a="b,c"}=80,for=5s', /write queue\{a="b,c"\}:red=80,for=5s/],
    ['threads:for=30s', /it has no default; write red=/],
    ['queue{}:clear=5', /it has no default; write red=/],
    ['process_rss_bytes{}=5', /rssBytes cannot have a threshold/],
    ['process_cpu{}:red=80,of=largest', /a selector cannot have of=/],
    ['queue{x="1"}', /after the selector write =80/],
    ['queue{x=1}=5', /a value in double quotes/],
    ['system_disk{host="a"}=101', /is never reached/],
  ])('%s is refused', (text, message) => expect(() => parseThreshold(text)).toThrow(message));
});
