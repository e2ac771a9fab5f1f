import { hostname } from 'node:os';
import { givenAdminToken } from '../../access/token.ts';
import { parseDuration } from '../../core/duration.ts';
import { formatShare, serverRoles } from '../../core/server-role.ts';
import { formatThreshold, parseThreshold, type Threshold, withDefaults } from '../../core/threshold.ts';
import { parseListen, storeRemedy, withoutSecrets } from './address.ts';
import { storeUrl } from './data-folder.ts';
import { orNotSet, serving, setting, storing } from './setting.ts';
import { parseCount, parseHorizon, parsePace, parseRoles, parseShare, parseSize, parseSwitch } from './value.ts';

/** What a server does, keeps and lets in. */
export const serverSettings = {
  listen: setting({
    argument: '<address:port>',
    description: 'address and port the server listens on',
    defaultText: '127.0.0.1:8000',
    commands: serving,
    read: ([text = '127.0.0.1:8000']) => parseListen(text),
  }),
  store: setting({
    argument: '<url>',
    description:
      'where snapshots are kept: duckdb:PATH, influxdb://host:8086/database, clickhouse://host:8123/database, influxdbs:// and clickhouses:// for TLS, memory:',
    defaultText: 'duckdb: in the data folder',
    commands: serving,
    read: ([text]) => (text === undefined ? null : withoutSecrets(text, 'store', storeRemedy)),
    format: (url, data) => storeUrl(url, data),
  }),
  storeCa: setting({
    argument: '<file>',
    description: 'the only authority (PEM) whose certificate the store may have, with influxdbs:// or clickhouses://',
    defaultText: "the system's",
    commands: storing,
    read: ([text]) => text,
    format: orNotSet,
  }),
  retention: setting({
    argument: '<duration>',
    description: 'how long snapshots are kept',
    defaultText: '2d',
    commands: storing,
    read: ([text = '2d']) => parseDuration(text, 'retention'),
  }),
  retention1m: setting({
    argument: '<duration>',
    description: 'how long roll-ups of a minute are kept, in the embedded store; at least as long as snapshots',
    defaultText: '7d',
    commands: serving,
    read: ([text = '7d']) => parseDuration(text, 'retention-1m'),
  }),
  retention1h: setting({
    argument: '<duration>',
    description:
      'how long roll-ups of an hour are kept, in the embedded store and ClickHouse; at least as long as those of a minute',
    defaultText: '400d',
    commands: serving,
    read: ([text = '400d']) => parseDuration(text, 'retention-1h'),
  }),
  maxDisk: setting({
    argument: '<size>',
    description: 'the most that the embedded store may take, such as 20GB; beyond it the oldest is forgotten',
    defaultText: 'none: by the retentions alone',
    commands: serving,
    read: ([text]) => (text === undefined ? undefined : parseSize(text, 'max-disk')),
    format: (bytes) => (bytes === undefined ? null : `${bytes / 1e6}MB`),
  }),
  threshold: setting({
    argument: '<metric=red>',
    description:
      'when something is RED, such as cpu=90 or memory:red=80,clear=75,for=30s,hold=1m,of=group; may be repeated',
    defaultText: 'cpu=80 memory=80 system.cpu=80 system.memory=80',
    commands: serving,
    repeatable: true,
    read: (texts): Threshold[] => withDefaults(texts.map(parseThreshold)),
    format: (thresholds) => thresholds.map(formatThreshold),
  }),
  slas: setting({
    argument: '<file>',
    description: 'YAML file with SLAs by id; what changes in it is followed',
    defaultText: 'none',
    commands: serving,
    read: ([text]) => text,
    format: orNotSet,
  }),
  olderSlaApi: setting({
    argument: '',
    description: 'answer clients of the older SLA manager: /SLA, /get_Violations, /metrics/metric/NAME, ...',
    defaultText: 'false',
    commands: serving,
    read: ([text = 'false']) => parseSwitch(text, 'older-sla-api'),
  }),
  horizon: setting({
    argument: '<duration>',
    description: 'how far ahead AMBER looks; a value is the mean over a tenth of it',
    defaultText: '10m',
    commands: serving,
    read: ([text = '10m']) => parseHorizon(text),
  }),
  queryTimeout: setting({
    argument: '<duration>',
    description: 'what is asked of the server is answered within this, or stopped and refused with 504',
    defaultText: '10s',
    commands: serving,
    read: ([text = '10s']) => parsePace(text, 'query-timeout', '1s'),
  }),
  newNames: setting({
    argument: '<count>',
    description:
      'process names nobody had before that a host may bring along in a day; the rest are counted in __other__',
    defaultText: '5000',
    commands: serving,
    read: ([text = '5000']) => parseCount(text, 'new-names'),
  }),
  newSeries: setting({
    argument: '<count>',
    description: 'series nobody had before that one Prometheus may bring along in a day; the rest are not stored',
    defaultText: '100000',
    commands: serving,
    read: ([text = '100000']) => parseCount(text, 'new-series'),
  }),
  role: setting({
    argument: '<list>',
    description: 'what this server does of ingest,query,watch, as one of several over one store',
    defaultText: serverRoles.join(','),
    commands: ['serve'],
    read: ([text = serverRoles.join(',')]) => parseRoles(text),
    format: (roles) => roles.join(','),
  }),
  watchShare: setting({
    argument: '<i/n>',
    description: 'of the hosts, which share this server watches: 1/2 and 2/2 are two watchers',
    defaultText: '1/1',
    commands: ['serve'],
    read: ([text = '1/1']) => parseShare(text),
    format: formatShare,
  }),
  tokens: setting({
    argument: '<file>',
    description:
      'the tokens (JSON, as in the data folder) where others write them, as a secret that is mounted; read again when it changes',
    defaultText: 'tokens.json in the data folder',
    commands: serving,
    read: ([text]) => text,
    format: orNotSet,
  }),
  allowHost: setting({
    argument: '<name>',
    description: 'a name, besides addresses, that clients call the server by; may be repeated',
    defaultText: "localhost and the system's host name",
    commands: serving,
    repeatable: true,
    read: (texts) => ['localhost', hostname(), ...texts].map((text) => text.toLowerCase()),
    format: (names) => names,
  }),
  tlsCert: setting({
    argument: '<file>',
    description: 'certificate chain (PEM) to listen with TLS; read again when it changes',
    defaultText: 'none: plain HTTP',
    commands: ['serve'],
    read: ([text]) => text,
    format: orNotSet,
  }),
  tlsKey: setting({
    argument: '<file>',
    description: 'its private key (PEM)',
    defaultText: 'none',
    commands: ['serve'],
    read: ([text]) => text,
    format: orNotSet,
  }),
  tlsClientCa: setting({
    argument: '<file>',
    description: 'refuse clients without a certificate of this authority (PEM)',
    defaultText: 'none: clients need no certificate',
    commands: ['serve'],
    read: ([text]) => text,
    format: orNotSet,
  }),
  adminToken: setting({
    description: 'a token with the role admin besides those made on the server, as containers hand over secrets',
    defaultText: 'none',
    commands: serving,
    secret: true,
    read: ([text]) => (text === undefined ? undefined : givenAdminToken(text)),
  }),
};
