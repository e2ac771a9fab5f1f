import { access, constants } from 'node:fs/promises';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { ToadScheduler } from 'toad-scheduler';
import type { Alerter, AlerterOutput } from './alerter/alerter.ts';
import { readBootId } from './boot-id.ts';
import type { ClientOptions } from './client.ts';
import { clientOptions, serverName, spoolName } from './client-access.ts';
import { openClockDoubt } from './clock-doubt-file.ts';
import type { SenderLog } from './collector/sender.ts';
import { type Config, type ListenAddress, storeUrl } from './config.ts';
import type { Clock } from './core/clock.ts';
import { MonitorError, messageOf } from './core/error.ts';
import { fileReason } from './core/failure-reason.ts';
import { formatThreshold } from './core/threshold.ts';
import { openForgottenHosts } from './forgotten-hosts-file.ts';
import { makeLocalSocket } from './local-socket.ts';
import { ownAddress } from './own-address.ts';
import { readPem } from './pem.ts';
import { reloadCertificate, serverAccess, serverTls, tlsVersion } from './server-access.ts';

/**
 * Wires each daemon from its configuration. Modules are loaded where they are needed, so that a collector
 * never loads the server and stays small.
 */

export interface RunningServer {
  /** The URL a client on this machine reaches it at. */
  url: string;
  /** Where others reach it, in words. */
  announced: string;
  /** For the daemons of the same process. */
  own: ClientOptions;
  close(): Promise<void>;
}

/** Requests under way are answered within this; then their connections are cut. */
const requestGraceMs = 3_000;

/** @throws MonitorError when the store cannot be opened or the address not be listened on */
export async function startServer(
  config: Config,
  clock: Clock,
  log: FastifyBaseLogger,
  version: string,
): Promise<RunningServer> {
  const [{ buildApp }, { openStore }] = await Promise.all([import('./api/app.ts'), import('./store/open.ts')]);
  const {
    retention: retentionMs,
    threshold: thresholds,
    horizon: horizonMs,
    queryTimeout: queryTimeoutMs,
    newNames: newNamesPerDay,
    influxToken: token,
    influxUser: username,
    influxPassword: password,
    influxOrg: org,
  } = config;
  const { access, secret } = serverAccess(config, clock);
  const https = serverTls(config);
  const certificateVersion = tlsVersion(config);
  const store = await openStore(storeUrl(config.store, config.data), {
    retentionMs,
    newNamesPerDay,
    now: () => clock.now(),
    warn: (message) => log.warn(message),
    influx: {
      ...(token && { token }),
      ...(username && { username }),
      ...(password && { password }),
      ...(org && { org }),
      ...(config.storeCa !== undefined && { ca: readPem(config.storeCa, '--store-ca', 'certificate') }),
    },
  });
  const scheduler = new ToadScheduler();
  const local = makeLocalSocket();
  try {
    const clockDoubt = openClockDoubt(config.data, (message) => log.warn(message));
    const forgotten = openForgottenHosts(config.data, (message) => log.warn(message));
    const bootId = readBootId();
    const given = {
      store,
      clock,
      log,
      thresholds,
      retentionMs,
      horizonMs,
      queryTimeoutMs,
      version,
      access: { ...access, isLocal: local.isLocal },
      clockDoubt,
      forgotten,
      bootId,
    };
    const app = await buildApp({ ...given, ...(https && { https }) });
    const url = await listen(app, config.listen);
    const { port } = app.server.address() as AddressInfo;
    await local.listen(app.routing, config.data, port, (message) => log.warn(message));
    if (https !== undefined) reloadCertificate(config, certificateVersion, app.server as Server, scheduler, log);
    log.info(
      { url: announcedAs(url, config.listen), store: store.url, thresholds: thresholds.map(formatThreshold) },
      'server is listening',
    );
    const close = async () => {
      scheduler.stop();
      const cut = setTimeout(() => {
        app.server.closeAllConnections();
        local.closeAllConnections();
      }, requestGraceMs);
      await Promise.all([app.close(), local.close()]);
      clearTimeout(cut);
      await store.close();
    };
    return { url, announced: announcedAs(url, config.listen), own: { token: secret }, close };
  } catch (error) {
    scheduler.stop();
    await local.close();
    await store.close();
    throw error;
  }
}

/** An address that stands for all of them is none that anybody could call. */
function announcedAs(url: string, { host }: ListenAddress): string {
  if (host !== '0.0.0.0' && host !== '::') return url;
  const own = ownAddress();
  if (own === null) return `every address of this machine (here ${url})`;
  const others = new URL(url);
  others.hostname = own.includes(':') ? `[${own}]` : own;
  return `${others.origin} and every other address of this machine (here ${url})`;
}

async function listen(
  app: { listen(address: ListenAddress): Promise<string>; close(): Promise<unknown> },
  address: ListenAddress,
): Promise<string> {
  const where = `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
  try {
    return (await app.listen(address)).replace('0.0.0.0', '127.0.0.1').replace('[::]', '[::1]');
  } catch (error) {
    await app.close();
    const reasons: Record<string, string> = {
      EADDRINUSE: `another program uses it; choose another port with --listen ${address.host}:${address.port + 1}`,
      EACCES: 'this user may not use that port; choose one above 1023',
      EADDRNOTAVAIL: 'this machine does not have that address',
      ENOTFOUND: 'that name has no address',
    };
    const code = (error as NodeJS.ErrnoException).code ?? '';
    throw new MonitorError('unavailable', `cannot listen on ${where}: ${reasons[code] ?? messageOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * @param own what this process itself uses, where the server is in it too
 * @throws MonitorError when the server URL is none or the data folder cannot be used
 */
export async function startCollector(
  config: Config,
  server: string,
  clock: Clock,
  log: SenderLog,
  own?: ClientOptions,
): Promise<{ close(): Promise<void> }> {
  const [{ Collector }, { Sender }, { openLockedSpool, spoolLimits }, { SystemTotalsReader }, { MonitorClient }] =
    await Promise.all([
      import('./collector/collector.ts'),
      import('./collector/sender.ts'),
      import('./collector/spool.ts'),
      import('./collector/system-totals.ts'),
      import('./client.ts'),
    ]);
  const client = new MonitorClient(server, own ?? (await clientOptions(config, server)));
  const folder = join(spoolFolder(config), own ? 'up' : spoolName(server, config.host));
  const { spool, unlock } = await openLockedSpool(folder, spoolLimits(config.interval)).catch(
    async (error: unknown) => {
      // Of a read-only file system Node says that the folder to be made is not there.
      throw spoolFailure(
        folder,
        await access(config.data, constants.W_OK).then(
          () => error,
          (real: unknown) => (isMissing(error) ? real : error),
        ),
      );
    },
  );
  const sender = new Sender({ spool, client, clock, random: Math.random, log });
  const collector = new Collector({
    host: config.host,
    intervalMs: config.interval,
    clock,
    spool,
    sender,
    log,
    totals: new SystemTotalsReader(),
    ...(await openSource(clock, config)),
  });
  await collector.start();
  return { close: () => collector.close().finally(unlock) };
}

async function openSource(clock: Clock, config: Config) {
  if (process.platform === 'linux') {
    const { ProcfsSource } = await import('./collector/procfs-source.ts');
    return { source: new ProcfsSource(clock, config), bootId: readBootId() };
  }
  const { PortableSource } = await import('./collector/portable-source.ts');
  return { source: new PortableSource(clock), bootId: null };
}

/** Where every spool of this host is. */
export function spoolFolder(config: Config): string {
  return join(config.data, 'spool');
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

/** @param own what this process itself uses, where the server is in it too */
export async function startAlerter(
  config: Config,
  server: string,
  clock: Clock,
  output: AlerterOutput,
  own?: ClientOptions,
): Promise<Alerter> {
  const [{ Alerter }, { SaidLog }, { Webhook }, { MonitorClient }] = await Promise.all([
    import('./alerter/alerter.ts'),
    import('./alerter/said-log.ts'),
    import('./alerter/webhook.ts'),
    import('./client.ts'),
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
