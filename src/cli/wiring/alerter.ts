import { join } from 'node:path';
import type { Alerter, AlerterOutput } from '../../alerter/alerter.ts';
import type { Channel } from '../../alerter/channels/channel.ts';
import type { Outbox } from '../../alerter/outbox.ts';
import type { ClientOptions } from '../../client/monitor-client.ts';
import type { Clock } from '../../core/clock.ts';
import { MonitorError } from '../../core/error.ts';
import { fileReason } from '../../core/failure-reason.ts';
import type { Config } from '../config/settings.ts';
import { clientOptions, serverName } from './client-access.ts';

/** @param own what this process itself uses, where the server is in it too */
export async function startAlerter(
  config: Config,
  server: string,
  clock: Clock,
  output: AlerterOutput,
  own?: ClientOptions,
): Promise<Alerter> {
  const [{ Alerter }, { MonitorClient }] = await Promise.all([
    import('../../alerter/alerter.ts'),
    import('../../client/monitor-client.ts'),
  ]);
  const client = new MonitorClient(server, own ?? (await clientOptions(config, server)));
  const folder = join(config.data, 'alerter', own ? 'up' : serverName(server));
  const outbox = await openOutbox(folder, (message) => output.note(clock.now(), message));
  const channels = await openChannels(config, clock);
  const alerter = new Alerter({ client, clock, pollMs: config.poll, output, outbox, channels });
  await alerter.start();
  return alerter;
}

/** Where nothing can be kept it is kept in memory alone. */
async function openOutbox(folder: string, note: (message: string) => void): Promise<Outbox> {
  const { Outbox } = await import('../../alerter/outbox.ts');
  return Outbox.open(folder).catch((error: unknown) => {
    note(
      `cannot keep in ${folder} what has been said: ${fileReason(error)}; after a restart it will be said again. Choose another folder with --data`,
    );
    return Outbox.open(null);
  });
}

async function openChannels(
  { webhook: urls, webhookSecret: secret, webhookAllow: allowed }: Config,
  clock: Clock,
): Promise<Channel[]> {
  if (urls.length === 0) return [];
  if (secret === undefined)
    throw new MonitorError(
      'invalid',
      'webhooks are signed: set a key of 16 characters or more in AMBERWATCH_WEBHOOK_SECRET',
    );
  const { Webhook } = await import('../../alerter/channels/webhook.ts');
  return urls.map((url) => new Webhook({ url, secret, allowed, clock }));
}
