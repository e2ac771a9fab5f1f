import { MonitorError } from '../../core/error.ts';
import { orNotSet, setting, storing } from './setting.ts';

/** How a server gets into ClickHouse. */
export const clickhouseSettings = {
  clickhouseUser: setting({
    description: 'user of ClickHouse',
    defaultText: 'default',
    commands: storing,
    read: ([text]) => text,
    format: orNotSet,
  }),
  clickhouseCluster: setting({
    argument: '<name>',
    description: 'cluster of ClickHouse that the tables are made on, replicated and, over several shards, distributed',
    defaultText: 'the one of several servers that it is of',
    commands: storing,
    read: ([text]) => (text === undefined ? undefined : parseCluster(text)),
    format: orNotSet,
  }),
  clickhousePassword: setting({
    description: 'password of that user',
    defaultText: 'none',
    commands: storing,
    secret: true,
    read: ([text]) => text,
  }),
};

function parseCluster(text: string): string {
  if (!/^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$/.test(text))
    throw new MonitorError(
      'invalid',
      `clickhouse-cluster '${text}' is no name of a cluster; see SELECT cluster FROM system.clusters`,
    );
  return text;
}
