import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { environmentNameOf, flagOf, readConfig, settingKeys } from '../src/config.ts';
import { formatThreshold } from '../src/core/threshold.ts';
import { temporaryFolder } from './temporary-folder.ts';

const file = (text: string) => {
  const path = join(temporaryFolder(), 'amberwatch.yaml');
  writeFileSync(path, text);
  return path;
};

describe('configuration', () => {
  test('defaults need nothing', () => {
    expect(readConfig({}, {})).toMatchObject({
      listen: { host: '127.0.0.1', port: 8000 },
      store: null,
      retention: 172_800_000,
      interval: 10_000,
      poll: 5000,
      server: 'http://127.0.0.1:8000',
    });
  });

  test('flags win over the environment, that over the file, that over the default', () => {
    const path = file('interval: 30s\npoll: 30s\nretention: 30d\n');
    const config = readConfig({ interval: '10m' }, { AMBERWATCH_INTERVAL: '20s', AMBERWATCH_POLL: '20s' }, path);
    expect([config.interval, config.poll, config.retention, config.listen.port]).toEqual([
      600_000,
      20_000,
      30 * 86_400_000,
      8000,
    ]);
  });

  test('thresholds from each of them', () => {
    const metrics = (config: ReturnType<typeof readConfig>) =>
      config.threshold.map(formatThreshold).filter((text) => !text.endsWith('red=80'));
    expect(metrics(readConfig({ threshold: ['cpu=90', 'system.disk=95'] }, {}))).toEqual([
      'cpu:red=90',
      'system.disk:red=95',
    ]);
    expect(metrics(readConfig({}, { AMBERWATCH_THRESHOLD: 'cpu=90 memory:red=70,for=1m' }))).toEqual([
      'cpu:red=90',
      'memory:red=70,for=1m',
    ]);
    expect(metrics(readConfig({}, {}, file('threshold:\n  - cpu=90\n  - memory=70\n')))).toEqual([
      'cpu:red=90',
      'memory:red=70',
    ]);
  });

  test('a secret may stand in a file of its own', () => {
    expect(readConfig({}, { AMBERWATCH_INFLUX_TOKEN_FILE: file('s3cret\n') }).influxToken).toBe('s3cret');
  });

  test.each([
    [{ listen: '8000' }, {}, /^--listen: '8000' is not an address and port; write it like/],
    [{ listen: '127.0.0.1:70000' }, {}, /^--listen/],
    [{}, { AMBERWATCH_INTERVAL: '10' }, /^AMBERWATCH_INTERVAL: interval '10' is not a duration/],
    [{ interval: '1ms' }, {}, /^--interval: interval '1ms' must lie between 500ms and 1h/],
    [{ logLevel: 'loud' }, {}, /^--log-level: log level 'loud' must be one of/],
    [{ threshold: ['cpu'] }, {}, /^--threshold: threshold 'cpu' names no known metric/],
    [{}, { AMBERWATCH_INFLUX_TOKEN_FILE: '/nowhere' }, /^AMBERWATCH_INFLUX_TOKEN_FILE \/nowhere cannot be read/],
  ])('%j %j is refused, naming where it was set', (flags, environment, message) => {
    expect(() => readConfig(flags, environment as Record<string, string>)).toThrow(message);
  });

  test.each([
    ['intervall: 10s', /there is no key 'intervall'; the keys are listen/],
    ['- a\n- b', /must hold keys and values/],
    ['a: [', /is not YAML/],
    ['interval: soon', /yaml: interval: interval 'soon' is not a duration/],
  ])('a file with %j is refused', (text, message) => expect(() => readConfig({}, {}, file(text))).toThrow(message));

  test('IPv6 and names can be listened on', () => {
    expect(readConfig({ listen: '[::1]:80' }, {}).listen).toEqual({ host: '::1', port: 80 });
    expect(readConfig({ listen: 'localhost:0' }, {}).listen).toEqual({ host: 'localhost', port: 0 });
  });

  test('every key has one name in each place', () => {
    expect(settingKeys.map((key) => `${flagOf(key)} ${environmentNameOf(key)}`)).toContain(
      '--log-level AMBERWATCH_LOG_LEVEL',
    );
    expect(new Set(settingKeys.map(environmentNameOf)).size).toBe(settingKeys.length);
  });
});
