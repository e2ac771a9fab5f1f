import { serverUrl } from './address.ts';
import { asking, orNotSet, setting } from './setting.ts';

/** Which server is asked, and what is shown to it. */
export const clientSettings = {
  server: setting({
    argument: '<url>',
    description: 'the amberwatch server',
    defaultText: 'http://127.0.0.1:8000',
    commands: [
      'collect',
      'alert',
      'accuracy',
      'backtest',
      'host',
      'store',
      'disk',
      'stats',
      'sla',
      'top',
      'history',
      'source',
      'token',
    ],
    read: ([text = 'http://127.0.0.1:8000']) => serverUrl(text),
  }),
  token: setting({
    description: "token for the server; 'amberwatch join' puts it into the data folder",
    defaultText: 'that of join',
    commands: asking,
    secret: true,
    read: ([text]) => text,
  }),
  ca: setting({
    argument: '<file>',
    description: 'the only authority (PEM) whose certificate a server may have',
    defaultText: "the system's",
    commands: asking,
    read: ([text]) => text,
    format: orNotSet,
  }),
  clientCert: setting({
    argument: '<file>',
    description: 'certificate (PEM) to show to the server',
    defaultText: 'none',
    commands: asking,
    read: ([text]) => text,
    format: orNotSet,
  }),
  clientKey: setting({
    argument: '<file>',
    description: 'its private key (PEM)',
    defaultText: 'none',
    commands: asking,
    read: ([text]) => text,
    format: orNotSet,
  }),
};
