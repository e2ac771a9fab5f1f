import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientOptions } from '../../client/monitor-client.ts';
import type { Collector as RunningCollector } from '../../collector/collector.ts';
import type { Clock } from '../../core/clock.ts';
import { MonitorError } from '../../core/error.ts';
import { fileReason } from '../../core/failure-reason.ts';
import { readBootId } from '../../platform/boot-id.ts';
import type { Log } from '../../platform/log.ts';
import type { Config } from '../config/settings.ts';
import { clientOptions, spoolName } from './client-access.ts';

/**
 * @param own what this process itself uses, where the server is in it too
 * @throws MonitorError when the server URL is none or the data folder cannot be used
 */
export async function startCollector(
  config: Config,
  server: string,
  clock: Clock,
  log: Pick<Log, 'info' | 'warn'>,
  own?: ClientOptions,
): Promise<{ close(): Promise<void> }> {
  const [
    { Collector },
    { Sender },
    { openDesired },
    { openLockedSpool, spoolLimits },
    { SystemTotalsReader },
    { MonitorClient },
  ] = await Promise.all([
    import('../../collector/collector.ts'),
    import('../../collector/sender.ts'),
    import('../../collector/desired-file.ts'),
    import('../../collector/spool.ts'),
    import('../../collector/system-totals.ts'),
    import('../../client/monitor-client.ts'),
  ]);
  const client = new MonitorClient(server, own ?? (await clientOptions(config, server)));
  const name = own ? 'up' : spoolName(server, config.host);
  const folder = join(spoolFolder(config), name);
  const { spool, unlock } = await openLockedSpool(folder, spoolLimits(config.interval)).catch(
    async (error: unknown) => {
      throw spoolFailure(folder, await realReason(error, config.data));
    },
  );
  const sender = new Sender({
    spool,
    client,
    clock,
    random: Math.random,
    log,
    follow: (desired) => collector.follow(desired),
  });
  const collector: RunningCollector = new Collector({
    host: config.host,
    intervalMs: config.interval,
    clock,
    spool,
    sender,
    log,
    totals: new SystemTotalsReader(),
    desired: openDesired(join(config.data, 'desired'), spoolName(own ? 'up' : server, config.host), log),
    ...(await openSource(clock, config)),
  });
  await collector.start();
  return { close: () => collector.close().finally(unlock) };
}

async function openSource(clock: Clock, config: Config) {
  if (process.platform === 'linux') {
    const { ProcfsSource } = await import('../../collector/procfs-source.ts');
    return { source: new ProcfsSource(clock, config), bootId: readBootId() };
  }
  const { PortableSource } = await import('../../collector/portable-source.ts');
  return { source: new PortableSource(clock), bootId: null };
}

/** Where every spool of this host is. */
export function spoolFolder(config: Config): string {
  return join(config.data, 'spool');
}

/** Of a read-only file system Node says that the folder to be made is not there. */
async function realReason(error: unknown, dataFolder: string): Promise<unknown> {
  if (!isMissing(error)) return error;
  return access(dataFolder, constants.W_OK).then(
    () => error,
    (real: unknown) => real,
  );
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function spoolFailure(folder: string, error: unknown): MonitorError {
  if (error instanceof MonitorError) return error;
  return new MonitorError(
    'unavailable',
    `cannot use the spool folder ${folder}: ${fileReason(error)}; choose another with --data`,
    { cause: error },
  );
}
