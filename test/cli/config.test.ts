import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfigFile } from '../../src/cli/config/config-file.ts';
import { describeConfig, unknownVariables } from '../../src/cli/config/describe-config.ts';
import * as fromFile from '../../src/cli/config/read-config.ts';
import type { Environment } from '../../src/cli/config/setting.ts';
import { environmentNameOf, flagOf, settingKeys } from '../../src/cli/config/settings.ts';
import { MonitorError } from '../../src/core/error.ts';
import { formatThreshold } from '../../src/core/threshold.ts';
import { temporaryFolder } from '../temporary-folder.ts';

type Flags = Parameters<typeof fromFile.readConfig>[0];

const file = (text: string) => {
  const path = join(temporaryFolder(), 'amberwatch.yaml');
  writeFileSync(path, text);
  return path;
};

const valuesOf = (path?: string) => (path === undefined ? new Map() : readConfigFile(path, settingKeys));
const givenSettings = (flags: Flags, environment: Environment, path?: string) =>
  fromFile.givenSettings(flags, environment, valuesOf(path));
const readConfig = (flags: Flags, environment: Environment, path?: string) =>
  fromFile.readConfig(flags, environment, valuesOf(path));

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

  test('a threshold may be a map, and a key without a value is not set', () => {
    const yaml = 'threshold:\n  cpu: 90\n  memory: {red: 80, clear: 70, for: 30s}\nstore:\n';
    const config = readConfig({}, {}, file(yaml));
    expect(config.threshold.map(formatThreshold).slice(0, 2)).toEqual(['cpu:red=90', 'memory:red=80,clear=70,for=30s']);
    expect(config.store).toBeNull();
    expect(
      readConfig({}, {}, file('threshold:\n  - cpu=90\n  - memory: 70\n')).threshold.map(({ red }) => red),
    ).toEqual([90, 70, 80, 80]);
  });

  test('a value of the file is what stands there', () => {
    const yaml =
      'influxPassword: 00123456\nhost: 007\ninfluxUser: True\ninfluxToken: 1e10\ninterval: &pace 20s\npoll: *pace\n';
    expect(readConfig({}, {}, file(yaml))).toMatchObject({
      influxPassword: '00123456',
      host: '007',
      influxUser: 'True',
      influxToken: '1e10',
      interval: 20_000,
      poll: 20_000,
    });
    for (const broken of ['influxPassword: !hunter2', 'influxPassword: |hunter2', 'influxPassword: "hunter2'])
      try {
        expect(readConfig({}, {}, file(broken)).influxPassword).toBe('!hunter2');
      } catch (error) {
        expect(String(error)).toMatch(/is not YAML/);
        expect(String(error)).not.toMatch(/hunter/);
      }
  });

  test('sources are maps, and what they are let in with stands elsewhere', () => {
    const yaml = `sources:
  - name: lab
    url: http://10.0.0.7:9090/prom
    allow: [10.0.0.0/8, "::1"]
    selector: '{job="summary",instance="106"}'
  - {name: far-away, url: https://example.com, selector: [up, node_load1], interval: 1m, backfill: 2h, ca: ca.pem}
mapping:
  - process-exporter
  - {name: own, process: exe, columns: {cpu: {rate: busy_seconds, times: 100}}}
`;
    const environment = {
      AMBERWATCH_SOURCE_LAB_TOKEN_FILE: file('s3cret\n'),
      AMBERWATCH_SOURCE_FAR_AWAY_USER: 'me',
      AMBERWATCH_SOURCE_FAR_AWAY_PASSWORD: 'hunter2',
    };
    const path = file(yaml);
    const { sources, mapping } = readConfig({}, environment, path);
    expect(sources).toEqual([
      {
        name: 'lab',
        url: new URL('http://10.0.0.7:9090/prom'),
        selectors: ['{job="summary",instance="106"}'],
        intervalMs: 15_000,
        backfillMs: 86_400_000,
        allowed: [
          { address: '10.0.0.0', bits: 8 },
          { address: '::1', bits: 128 },
        ],
        token: 's3cret',
      },
      expect.objectContaining({
        name: 'far-away',
        selectors: ['up', 'node_load1'],
        intervalMs: 60_000,
        backfillMs: 7_200_000,
        ca: 'ca.pem',
        user: 'me',
        password: 'hunter2',
      }),
    ]);
    expect(mapping.map(({ name }) => name)).toEqual(['process-exporter', 'own']);
    const lines = describeConfig(givenSettings({}, environment, path), readConfig({}, environment, path)).join('\n');
    expect(lines).toMatch(/sources: .*"10.0.0.0\/8"/s);
    expect(lines).not.toMatch(/hunter2|s3cret/);
    expect(unknownVariables(environment)).toEqual([]);
  });

  test.each([
    ['sources: http://x', /is no source; write a map such as/],
    ['sources: [{name: a, url: http://x}]', /source a: it needs a selector/],
    ['sources: [{name: a, selector: up}]', /a source \(a\) needs one url/],
    ['sources: [{name: "a b", url: http://x, selector: up}]', /source a b: its name must be letters/],
    ['sources: [{name: a, url: ftp://x, selector: up}]', /its url is no address: 'ftp:\/\/x'/],
    ['sources: [{name: a, url: "http://me:hunter2@x", selector: up}]', /AMBERWATCH_SOURCE_A_USER/],
    [
      'sources: [{name: a, url: http://x, selektor: up}]',
      /there is no key|has no key 'selektor'; did you mean 'selector'/,
    ],
    ['sources: [{name: a, url: http://x, selector: up, interval: 1ms}]', /interval of source a '1ms' must lie between/],
    [
      'sources: [{name: a, url: http://x, selector: up}, {name: A, url: http://y, selector: up}]',
      /that name is there twice/,
    ],
    ['sources: [{name: a, url: {b: c}, selector: up}]', /takes a text/],
    ['mapping: node-exporters', /there is no mapping 'node-exporters'; did you mean 'node-exporter'/],
    ['mapping: [{name: a, columns: {cpuu: {sum: x}}}]', /mapping a: there is no column 'cpuu'; did you mean 'cpu'/],
  ])('%s is refused', (yaml, said) => {
    const read = () => readConfig({}, {}, file(yaml));
    expect(read).toThrow(said);
    expect(read).not.toThrow(/hunter2/);
  });

  test('variables that nothing reads are named, with the nearest that something does', () => {
    const environment = {
      AMBERWATCH_INTERVALL: '1',
      AMBERWATCH_TOKEN_FILE: 'x',
      AMBERWATCH_BANANA: '',
      AMBERWATCH_SERVER_SERVICE_HOST: '10.0.0.1',
      AMBERWATCH_SERVER_PORT_8000_TCP_ADDR: '10.0.0.1',
      AMBERWATCH_TEST_X: '1',
      HOME: '/',
    };
    expect(unknownVariables(environment)).toEqual([
      "the environment variable AMBERWATCH_INTERVALL is not read by anything; did you mean 'AMBERWATCH_INTERVAL'?",
      "the environment variable AMBERWATCH_BANANA is not read by anything; 'amberwatch config print' lists what can be set",
    ]);
  });

  test.each([
    ['store', 'influxdb://admin:hunter2@db:8086/x'],
    ['store', 'influxdb://admin:hunter 2@db:8086/x'],
    ['store', 'mysql://admin:hunter2@db/x'],
    ['store', 'influxdb://db:8086/x?p=hunter2'],
    ['server', 'http://admin:hunter2@10.0.0.1:8000'],
    ['server', 'admin:hunter2@10.0.0.1:8000'],
    ['server', 'http://u:hunter/2@h'],
    ['server', ' http:/u:hunter2@h'],
    ['store', 'influxdb2://u:hunter2@h/db'],
    ['store', 'influxdb2://h/db?token=hunter2'],
    ['server', 'http://10.0.0.1:8000/?token=hunter2'],
    ['webhook', 'https://admin:hunter2@example.com/hook'],
  ])('a secret in the URL of %s is refused and not shown: %s', (key, url) => {
    const refused = () => readConfig({ [key]: url }, {});
    expect(refused).toThrow(MonitorError);
    expect(refused).toThrow(/must not hold|must not have/);
    expect(refused).not.toThrow(/hunter/);
    expect(() => readConfig({}, {}, file(`${key}: "${url}"`))).not.toThrow(/hunter/);
  });

  test('what is in force, and where it was set', () => {
    const path = file('poll: 9s\nwebhook: https://example.com/secret-path\n');
    const [flags, environment] = [
      { interval: '7s' },
      { AMBERWATCH_TOKEN: 'aw_r_secret', AMBERWATCH_THRESHOLD: 'cpu=90' },
    ];
    const lines = describeConfig(givenSettings(flags, environment, path), readConfig(flags, environment, path)).join(
      '\n',
    );
    for (const line of [
      'interval: "7s"  # --interval',
      `poll: "9s"  # ${path}:1`,
      `webhook: ["https://example.com/..."]  # ${path}:2`,
      'token: (set, not shown)  # AMBERWATCH_TOKEN',
      'threshold: ["cpu:red=90","memory:red=80","system.cpu:red=80","system.memory:red=80"]  # AMBERWATCH_THRESHOLD',
      'listen: "127.0.0.1:8000"  # default',
      "# storeCa: not set (the system's)",
    ])
      expect(lines.split('\n')).toContain(line);
    expect(lines).not.toMatch(/secret/);
    // What is printed is a configuration: the same comes out again.
    const printed = file(lines.replace(/^token: .*$/m, ''));
    expect(readConfig({}, {}, printed).threshold).toEqual(readConfig(flags, environment, path).threshold);
  });

  test.each(['web-01', 'WEB_01.example.com', '10.0.0.5', 'fe80::1', 'späher', 'a'])('%s is a host name', (name) =>
    expect(readConfig({ host: name }, {}).host).toBe(name),
  );
  test.each(['', ' ', 'bad host!', '-x', 'a/b', 'a\nb', 'x'.repeat(300)])('%j is none', (name) =>
    expect(() => readConfig({ host: name }, {})).toThrow(/is no host name; write letters/),
  );

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
    ['poll: 5s\n\nintervall: 10s', /yaml:3:1: there is no key 'intervall'; did you mean 'interval'\?$/],
    ['log-level: warn', /did you mean 'logLevel'\?/],
    ['banana: 1', /yaml:1:1: there is no key 'banana'; the keys are listen/],
    ['- a\n- b', /must hold keys and values/],
    ['a: [', /yaml:1:5 is not YAML/],
    ['interval: soon', /yaml:1: interval 'soon' is not a duration/],
    ['interval: [1s, 2s]', /yaml:1: 'interval' takes one value, not 2/],
    ['interval: {a: 1}', /yaml:1:11: 'interval' takes a value or a list of them/],
    ['threshold: {cpu: [90]}', /yaml:1:13: write a number, or red, clear/],
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
