import { orNotSet, setting, storing } from './setting.ts';

/** How a server gets into InfluxDB. */
export const influxdbSettings = {
  influxToken: setting({
    description: 'API token of InfluxDB 2.x and 3.x',
    defaultText: 'none',
    commands: storing,
    secret: true,
    read: ([text]) => text,
  }),
  influxUser: setting({
    description: 'user of InfluxDB 1.x',
    defaultText: 'none',
    commands: storing,
    read: ([text]) => text,
    format: orNotSet,
  }),
  influxPassword: setting({
    description: 'password of that user',
    defaultText: 'none',
    commands: storing,
    secret: true,
    read: ([text]) => text,
  }),
  influxOrg: setting({
    description: 'organisation of InfluxDB 2.x that the bucket is in, where the token sees several',
    defaultText: "the token's own",
    commands: storing,
    read: ([text]) => text,
    format: orNotSet,
  }),
};
