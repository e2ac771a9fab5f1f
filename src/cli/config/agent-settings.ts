import type { ClientLabel } from '../../api/tcp/agent-readings.ts';
import { MonitorError } from '../../core/error.ts';
import { formatListen, parseListen, parseNetwork } from './address.ts';
import { serving, setting } from './setting.ts';

/** Agents on plain TCP: where they connect, and what becomes of what they send. */
export const agentSettings = {
  tcp: setting({
    argument: '<address:port>',
    description: 'also take JSON objects from agents that hold a plain TCP connection',
    defaultText: 'none',
    commands: serving,
    read: ([text]) => (text === undefined ? null : parseListen(text)),
    format: (address) => address && formatListen(address),
  }),
  tcpClient: setting({
    argument: '<how>',
    description: 'what an agent is called: address-port, address, or field:NAME of its messages',
    defaultText: 'address-port',
    commands: serving,
    read: ([text = 'address-port']) => parseClientLabel(text),
    format: (label) => (typeof label === 'string' ? label : `field:${label.field}`),
  }),
  tcpCounter: setting({
    argument: '<field>',
    description: 'a field of such messages whose values add up, instead of being what is now; may be repeated',
    defaultText: 'none',
    commands: serving,
    repeatable: true,
    read: (texts) => [...texts],
    format: (fields) => fields,
  }),
  tcpReply: setting({
    argument: '<text>',
    description: 'what each message is answered with once it is stored; \\n is a line end',
    defaultText: 'nothing',
    commands: serving,
    read: ([text]) => text?.replaceAll('\\n', '\n').replaceAll('\\r', '\r') ?? null,
    format: (text) => text,
  }),
  tcpAllow: setting({
    argument: '<address>',
    description: 'address or network (10.0.0.0/8) of agents that need neither token nor certificate; may be repeated',
    defaultText: 'this machine only',
    commands: serving,
    repeatable: true,
    read: (texts) => texts.map(parseNetwork),
    format: (networks) => networks.map(({ address, bits }) => `${address}/${bits}`),
  }),
};

function parseClientLabel(text: string): ClientLabel {
  if (text === 'address-port' || text === 'address') return text;
  const [, field] = /^field:(.+)$/.exec(text) ?? [];
  if (field !== undefined) return { field };
  throw new MonitorError('invalid', `'${text}' names no agent; write address-port, address or field:NAME`);
}
