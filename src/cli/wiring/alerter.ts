import { join } from 'node:path';
import type { Alerter, AlerterOutput } from '../../alerter/alerter.ts';
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
  const [{ Alerter }, { SaidLog }, { Webhook }, { MonitorClient }] = await Promise.all([
    import('../../alerter/alerter.ts'),
    import('../../alerter/said-log.ts'),
    import('../../alerter/webhook.ts'),
    import('../../client/monitor-client.ts'),
  ]);
  const client = new MonitorClient(server, own ?? (await clientOptions(config, server)));
  const note = (message: string) => output.note(clock.now(), message);
  const folder = join(config.data, 'alerter', own ? 'up' : serverName(server));
  const log = await SaidLog.open(folder).catch((error: unknown) => {
    note(
      `cannot keep in ${folder} what has been said: ${fileReason(error)}; after a restart it will be said again. Choose another folder with --data`,
    );
    return SaidLog.open(null);
  });
  const { webhook: urls, webhookSecret: secret, webhookAllow: allowed, poll: pollMs } = config;
  if (urls.length > 0 && secret === undefined)
    throw new MonitorError(
      'invalid',
      'webhooks are signed: set a key of 16 characters or more in AMBERWATCH_WEBHOOK_SECRET',
    );
  const webhooks = urls.map(
    (url) => new Webhook({ url, secret: secret as string, allowed, log, clock, random: Math.random, note }),
  );
  const alerter = new Alerter({ client, clock, pollMs, output, log, webhooks });
  await alerter.start();
  return alerter;
}
