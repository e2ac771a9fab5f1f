import { parseNetwork, parseWebhook, parseWebhookSecret } from './address.ts';
import { setting } from './setting.ts';
import { parsePace } from './value.ts';

/** How often an alerter looks, and whom it tells. */
export const alerterSettings = {
  poll: setting({
    argument: '<duration>',
    description: 'how often the alerter asks the server',
    defaultText: '5s',
    commands: ['up', 'alert'],
    read: ([text = '5s']) => parsePace(text, 'poll', '100ms'),
  }),
  webhook: setting({
    argument: '<url>',
    description: 'where to POST what the alerter says; may be repeated',
    defaultText: 'none',
    commands: ['up', 'alert'],
    repeatable: true,
    read: (texts) => texts.map(parseWebhook),
    // Its path is often a secret.
    format: (urls) => urls.map(({ origin }) => `${origin}/...`),
  }),
  webhookSecret: setting({
    description: 'key that webhooks are signed with (HMAC-SHA256), at least 16 characters',
    defaultText: 'none; needed for --webhook',
    commands: ['up', 'alert'],
    secret: true,
    read: ([text]) => parseWebhookSecret(text),
  }),
  webhookAllow: setting({
    argument: '<address>',
    description: 'address or network (10.0.0.0/8) that webhooks may reach although it is private; may be repeated',
    defaultText: 'public addresses only',
    commands: ['up', 'alert'],
    repeatable: true,
    read: (texts) => texts.map(parseNetwork),
    format: (networks) => networks.map(({ address, bits }) => `${address}/${bits}`),
  }),
};
