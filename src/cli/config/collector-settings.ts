import { hostname } from 'node:os';
import { parseHostName } from './address.ts';
import { collecting, setting } from './setting.ts';
import { parsePace, parseSwitch } from './value.ts';

/** What a collector reports, and as whom. */
export const collectorSettings = {
  interval: setting({
    argument: '<duration>',
    description: 'time between two snapshots',
    defaultText: '10s',
    commands: collecting,
    read: ([text = '10s']) => parsePace(text, 'interval', '500ms'),
  }),
  io: setting({
    argument: '',
    description:
      'also collect what each process reads from and writes to disks; of the processes of other users only root may know',
    defaultText: 'false',
    commands: collecting,
    read: ([text = 'false']) => parseSwitch(text, 'io'),
  }),
  host: setting({
    argument: '<name>',
    description: 'the name this host reports under',
    defaultText: "the system's host name",
    commands: ['up', 'collect', 'join'],
    read: ([text]) => (text === undefined ? hostname() : parseHostName(text)),
    format: (name) => name,
  }),
};
