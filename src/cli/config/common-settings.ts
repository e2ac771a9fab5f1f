import { resolve } from 'node:path';
import { dataFolder } from './data-folder.ts';
import { asking, daemons, setting, storing } from './setting.ts';
import { parseLogLevel } from './value.ts';

/** What every daemon has. */
export const commonSettings = {
  data: setting({
    argument: '<folder>',
    description: 'folder for the embedded store, the spool, tokens and what the alerter has said',
    defaultText: "the platform's data folder",
    commands: [...storing, ...asking, 'token', 'spool'],
    read: ([text], environment) => resolve(text ?? dataFolder(environment)),
    format: (folder) => folder,
  }),
  logLevel: setting({
    argument: '<level>',
    description:
      'fatal, error, warn, info, debug or trace; logs are JSON on stderr, and lines for people where that is a terminal',
    defaultText: 'info',
    commands: daemons,
    read: ([text = 'info']) => parseLogLevel(text),
  }),
};
