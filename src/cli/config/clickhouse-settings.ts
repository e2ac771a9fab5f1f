import { orNotSet, serving, setting } from './setting.ts';

/** How a server gets into ClickHouse. */
export const clickhouseSettings = {
  clickhouseUser: setting({
    description: 'user of ClickHouse',
    defaultText: 'default',
    commands: serving,
    read: ([text]) => text,
    format: orNotSet,
  }),
  clickhousePassword: setting({
    description: 'password of that user',
    defaultText: 'none',
    commands: serving,
    secret: true,
    read: ([text]) => text,
  }),
};
